"""The validity of QR codes."""

from gateway.whatsapp.qr import QrSchedule


def code(reference: str, adv: str = "adv") -> str:
    return f"https://wa.me/settings/linked_devices#{reference},noise,identity,{adv},1"


def test_the_first_code_is_good_for_sixty_seconds_and_the_others_for_twenty() -> None:
    schedule = QrSchedule()
    assert schedule.shown(code("a"), 1000.0) == 60
    assert schedule.shown(code("b"), 1060.0) == 20
    assert schedule.shown(code("c"), 1080.0) == 20


def test_a_code_whose_secret_was_changed_keeps_its_time() -> None:
    schedule = QrSchedule()
    schedule.shown(code("a"), 1000.0)
    assert schedule.shown(code("a", "new"), 1045.0) == 15
    assert schedule.shown(code("a", "newer"), 1099.0) == 0
