import asyncio

import pytest

from gateway.nats import server_process
from gateway.nats.link import Login
from supervisor.heartbeat import Heartbeat
from supervisor.process import ChildProcess

WAIT = 20.0
LOGIN = Login("nats://127.0.0.1:1", "nobody", "secret")


async def test_a_hung_server_is_asked_one_question_at_a_time_and_none_once_it_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asking: list[asyncio.Task[object] | None] = []

    async def never(login: Login, *, timeout: float) -> bool:
        assert login == LOGIN
        asking.append(asyncio.current_task())
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(server_process, "alive", never)
    process = ChildProcess.start(["sleep", "60"])
    server_process.watch(process, LOGIN, Heartbeat(every=0.02, silence=0.2))
    assert str(await asyncio.wait_for(process.ended(), WAIT)) == "was killed: no heartbeat for 0.2 s"
    (task,) = asking
    assert task is not None
    await asyncio.wait({task})
    assert task.cancelled()


async def test_a_server_that_refuses_and_answers_again_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [index % 4 == 3 for index in range(24)]
    asked = asyncio.Event()

    async def seldom(login: Login, *, timeout: float) -> bool:
        if not answers:
            asked.set()
            return True
        return answers.pop()

    monkeypatch.setattr(server_process, "alive", seldom)
    process = ChildProcess.start(["sleep", "60"])
    server_process.watch(process, LOGIN, Heartbeat(every=0.02, silence=0.2))
    await asyncio.wait_for(asked.wait(), WAIT)
    assert process.exit is None
    process.kill("the test is over")
    await process.ended()
