"""The threads that call into neonize: order, and what a call that hangs holds up."""

import queue
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.whatsapp.work import Pool, Sends
from protocol.port import Failed, SendMedia, SendRequest, SendText, Sent

WAIT = 5.0
RAISES = "raises"
SENT = Sent(wa_id="3A", at=datetime(2026, 1, 1, tzinfo=UTC))


def words(key: str, to: str, text: str = "x") -> SendText:
    return SendText(key=key, secret=b"s" * 32, to=to, text=text)


def image(key: str, to: str) -> SendMedia:
    return SendMedia(key=key, secret=b"s" * 32, to=to, kind="image", data=b"x", mime="image/png")


class Session:
    """Stands for neonize: sends when told to, uploads when told to."""

    def __init__(self, *, upload_limit: float = 60.0) -> None:
        self.sent: list[SendRequest] = []
        self.answers: queue.Queue[tuple[str, Sent | Failed]] = queue.Queue()
        self.may_send = threading.Event()
        self.may_send.set()
        self.may_upload = threading.Event()
        self.sending = threading.Event()
        self.upload_result: Any = "uploaded"
        self.media = Pool("media", 2)
        self.line = Sends(
            self.send,
            self.upload,
            self.media,
            lambda key, answer: self.answers.put((key, answer)),
            upload_limit=upload_limit,
        )

    def send(self, request: SendRequest, _: Any) -> Sent | Failed:
        self.sending.set()
        assert self.may_send.wait(WAIT)
        if isinstance(request, SendText) and request.text == RAISES:
            raise ValueError("nobody foresaw this")
        self.sent.append(request)
        return SENT

    def upload(self, _: SendMedia) -> Any:
        assert self.may_upload.wait(WAIT)
        return self.upload_result

    def answered(self) -> tuple[str, Sent | Failed]:
        return self.answers.get(timeout=WAIT)


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session()
    yield session
    session.may_send.set()
    session.may_upload.set()
    session.line.close()


def test_sends_are_done_in_order(session: Session) -> None:
    wanted = [words(str(i), "a") for i in range(50)]
    for request in wanted:
        session.line.put(request)
    assert [session.answered()[0] for _ in wanted] == [request.key for request in wanted]
    assert session.sent == wanted


def test_a_stalled_upload_holds_up_its_own_chat_only(session: Session) -> None:
    session.line.put(image("1", "a"))
    session.line.put(words("2", "a"))
    session.line.put(words("3", "b"))
    assert session.answered() == ("3", SENT)
    session.may_upload.set()
    assert [session.answered()[0], session.answered()[0]] == ["1", "2"]


def test_an_upload_that_takes_too_long_fails_its_image_alone() -> None:
    session = Session(upload_limit=0.05)
    session.line.put(image("1", "a"))
    session.line.put(words("2", "a"))
    key, answer = session.answered()
    assert key == "1"
    assert isinstance(answer, Failed)
    assert answer.code == "media_unavailable"
    assert session.answered() == ("2", SENT)
    session.may_upload.set()
    session.line.close()


def test_an_image_that_cannot_be_uploaded_is_not_sent(session: Session) -> None:
    session.upload_result = Failed(code="media_invalid", message="no")
    session.may_upload.set()
    session.line.put(image("1", "a"))
    assert session.answered() == ("1", session.upload_result)
    assert session.sent == []


def test_a_send_that_raises_is_answered_and_those_behind_it_go_on(session: Session) -> None:
    session.line.put(words("1", "a", RAISES))
    session.line.put(words("2", "a"))
    key, answer = session.answered()
    assert (key, answer) == ("1", Failed(code="internal", message="ValueError('nobody foresaw this')"))
    assert session.answered() == ("2", SENT)


def test_closing_lets_the_one_in_flight_end_and_refuses_the_others(session: Session) -> None:
    session.may_send.clear()
    session.line.put(words("1", "a"))
    assert session.sending.wait(WAIT)
    session.line.put(words("2", "a"))
    session.line.close()
    session.line.put(words("3", "a"))
    refused = dict([session.answered(), session.answered()])
    assert set(refused) == {"2", "3"}
    assert all(isinstance(answer, Failed) and answer.code == "not_connected" for answer in refused.values())
    assert not session.line.wait_idle(0.02)
    session.may_send.set()
    assert session.answered() == ("1", SENT)
    assert session.line.wait_idle(WAIT)


def test_a_line_without_sends_is_idle() -> None:
    assert Session().line.wait_idle(0)


def test_a_pool_has_so_many_threads_and_no_more() -> None:
    pool = Pool("test", 2)
    go, started, ended = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)

    def job() -> None:
        started.release()
        assert go.wait(WAIT)
        ended.release()

    for _ in range(5):
        pool.run(job)
    assert started.acquire(timeout=WAIT)
    assert started.acquire(timeout=WAIT)
    assert not started.acquire(timeout=0.05)
    assert pool.busy
    go.set()
    assert all(ended.acquire(timeout=WAIT) for _ in range(5))
