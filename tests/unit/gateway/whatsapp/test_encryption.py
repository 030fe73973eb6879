"""Reading whatsmeow's log for devices that it could not encrypt for."""

import pytest

from gateway.whatsapp.encryption import EncryptionLog, Skipped

OWN = frozenset({"5511900000001", "775511900000001"})


@pytest.mark.parametrize(
    ("line", "skipped"),
    [
        ("Failed to encrypt 3EB0AA for 7755@lid: no prekeys", Skipped("3EB0AA", "7755", 0, "lid")),
        ("Failed to encrypt 3EB0AA for 7755:12@lid: no session", Skipped("3EB0AA", "7755", 12, "lid")),
        ("Failed to encrypt 3EB0AA for 5511.0:3@s.whatsapp.net: x", Skipped("3EB0AA", "5511", 3, "s.whatsapp.net")),
        ("Failed to send receipt for 3EB0AA: x", None),
        ("Server said: Failed to encrypt 3EB0AA for 7755@lid", None),
        ("", None),
    ],
)
def test_a_line_is_read(line: str, skipped: Skipped | None) -> None:
    assert Skipped.parse(line) == skipped


def heard(*lines: str) -> EncryptionLog:
    log = EncryptionLog()
    for line in lines:
        log.read(line)
    return log


def test_only_the_phone_of_the_recipient_counts() -> None:
    log = heard(
        "Failed to encrypt A for 7755:3@lid: a companion",
        "Failed to encrypt A for 775511900000001@lid: our own phone",
        "Failed to encrypt B for 7755@lid: another message",
    )
    assert not log.main_device_skipped("A", OWN, to_self=False)
    assert log.main_device_skipped("B", OWN, to_self=False)


def test_our_own_phone_counts_when_we_write_to_ourselves() -> None:
    log = heard("Failed to encrypt A for 775511900000001@lid: no session")
    assert log.main_device_skipped("A", OWN, to_self=True)


def test_what_was_said_before_a_send_is_forgotten() -> None:
    log = heard("Failed to encrypt A for 7755@lid: x")
    log.clear()
    assert not log.main_device_skipped("A", OWN, to_self=False)
