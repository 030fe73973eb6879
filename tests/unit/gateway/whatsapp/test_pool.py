"""Media transfers that hang: what they keep from others, and for how long."""

import gc
import queue
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from config.sections import Calls
from gateway.whatsapp.work import FETCH_LIMIT_S, Pool, Sends
from protocol.port import Failed, SendMedia, Sent

WAIT = 5.0
SIZE = 4
LIMIT = 60.0
BOUND = 8


class Transfers:
    """A pool, and calls that hang until ``let_go`` or return at once. The clock stands still but for ``pass_by``."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.overruns: list[str] = []
        self.begun: queue.Queue[str] = queue.Queue()
        self.let_go = threading.Event()
        self.pool = Pool(
            "media", SIZE, limit=LIMIT, max_abandoned=BOUND, overrun=self.overruns.append, clock=lambda: self.now
        )

    def hang(self, count: int) -> None:
        """Have so many calls hang, and wait until they do."""
        for _ in range(count):
            self.pool.run(self._hang)
        assert self.names(count) == ["hangs"] * count

    def _hang(self) -> None:
        self.begun.put("hangs")
        assert self.let_go.wait(WAIT)

    def name(self, name: str) -> Callable[[], None]:
        """A call that returns at once."""
        return lambda: self.begun.put(name)

    def names(self, count: int) -> list[str]:
        return sorted(self.begun.get(timeout=WAIT) for _ in range(count))

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.pool.look()

    def end(self) -> None:
        """Let those that hang return, and wait until no thread is left."""
        self.let_go.set()
        for thread in threading.enumerate():
            if thread.name == "media":
                thread.join(WAIT)


@pytest.fixture
def transfers() -> Iterator[Transfers]:
    transfers = Transfers()
    yield transfers
    transfers.end()


def test_after_as_many_that_hang_as_there_are_threads_the_next_go_through(transfers: Transfers) -> None:
    transfers.hang(SIZE)
    for number in range(6):
        transfers.pool.run(transfers.name(str(number)))
    transfers.pass_by(LIMIT - 1)
    assert transfers.begun.empty()
    transfers.pass_by(1)
    assert transfers.names(6) == ["0", "1", "2", "3", "4", "5"]
    assert transfers.overruns == []


def test_those_behind_one_that_hangs_wait_for_no_look_if_another_thread_is_free(transfers: Transfers) -> None:
    transfers.hang(SIZE - 1)
    for number in range(6):
        transfers.pool.run(transfers.name(str(number)))
    assert transfers.names(6) == ["0", "1", "2", "3", "4", "5"]


def test_the_abandoned_do_not_keep_it_busy(transfers: Transfers) -> None:
    transfers.hang(SIZE)
    assert transfers.pool.busy
    transfers.pass_by(LIMIT)
    assert not transfers.pool.busy


def test_what_is_not_wanted_any_more_is_released_and_never_begins(transfers: Transfers) -> None:
    class Data:
        """Stands for 16 MiB."""

    data = Data()
    released = weakref.ref(data)
    transfers.hang(SIZE)

    def late(data: Data = data) -> None:
        transfers.begun.put(f"late {data}")

    transfers.pool.run(late, patience=30.0)
    transfers.pool.run(transfers.name("in time"), patience=120.0)
    del late, data
    transfers.pass_by(29)
    gc.collect()
    assert released() is not None
    transfers.pass_by(1)
    gc.collect()
    assert released() is None
    transfers.pass_by(LIMIT)
    assert transfers.names(1) == ["in time"]
    assert transfers.begun.empty()


def test_one_that_is_free_again_does_not_begin_what_is_not_wanted_any_more(transfers: Transfers) -> None:
    transfers.hang(SIZE)
    transfers.pool.run(transfers.name("late"), patience=30.0)
    transfers.pool.run(transfers.name("in time"))
    transfers.now += 30  # and nobody has looked
    transfers.end()
    assert transfers.names(1) == ["in time"]
    assert transfers.begun.empty()


def test_too_many_that_hang_are_said_once_and_get_no_more_threads(transfers: Transfers) -> None:
    transfers.hang(SIZE)
    transfers.pass_by(LIMIT)
    transfers.hang(SIZE)
    assert transfers.overruns == []
    transfers.pool.run(transfers.name("waits"))
    transfers.pass_by(LIMIT)
    transfers.pass_by(LIMIT)
    assert transfers.overruns == ["8 media transfers hang, each for more than 60 s"]
    transfers.pool.run(transfers.name("waits too"))
    assert transfers.begun.empty()


def test_those_that_return_after_all_make_room_and_add_no_threads(transfers: Transfers) -> None:
    transfers.hang(SIZE)
    transfers.pass_by(LIMIT)
    transfers.end()
    transfers.let_go.clear()
    transfers.hang(SIZE)
    transfers.pool.run(transfers.name("waits"))
    assert transfers.begun.empty()
    transfers.pass_by(LIMIT)
    assert transfers.names(1) == ["waits"]
    assert transfers.overruns == []


def test_an_image_that_was_answered_is_not_uploaded_any_more(transfers: Transfers) -> None:
    uploaded: list[str] = []
    answers: queue.Queue[tuple[str, Sent | Failed]] = queue.Queue()

    def upload(request: SendMedia) -> None:
        uploaded.append(request.key)

    line = Sends(
        lambda *_: Failed(code="internal", message="not to be sent"),
        upload,
        transfers.pool,
        lambda key, answer: answers.put((key, answer)),
        upload_limit=LIMIT,
    )
    transfers.hang(SIZE)
    line.put(SendMedia(key="1", secret=b"s" * 32, to="a", kind="image", data=b"x", mime="image/png"))
    line.close()
    assert answers.get(timeout=WAIT)[0] == "1"
    transfers.pool.run(transfers.name("behind it"))
    transfers.end()
    assert transfers.names(1) == ["behind it"]
    assert uploaded == []


def test_a_download_is_of_use_for_as_long_as_main_waits_for_it() -> None:
    assert Calls().media_timeout == FETCH_LIMIT_S
