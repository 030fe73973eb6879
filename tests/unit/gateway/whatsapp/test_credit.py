"""Back-pressure, by threads."""

import threading

from gateway.whatsapp.credit import Credit


def test_taking_waits_until_there_is_credit() -> None:
    credit = Credit(2)
    taken = threading.Semaphore(0)

    def take() -> None:
        for _ in range(5):
            credit.take()
            taken.release()

    thread = threading.Thread(target=take)
    thread.start()
    for _ in range(2):
        assert taken.acquire(timeout=5)
    assert not taken.acquire(timeout=0.05)
    credit.grant(1)
    assert taken.acquire(timeout=5)
    assert not taken.acquire(timeout=0.05)
    credit.grant(2)
    thread.join(timeout=5)
    assert not thread.is_alive()


def test_what_is_there_can_be_taken_without_waiting() -> None:
    credit = Credit(1)
    assert credit.take_at_once()
    assert not credit.take_at_once()
    credit.lift()
    assert credit.take_at_once()
    credit.take()
