"""The embedded broker: starting, being killed, and never two on one directory."""

import asyncio
import errno
import os
import signal
import socket
import stat
import sys
from contextlib import suppress
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from gateway.nats import probe
from gateway.nats.accounts import Role
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.bus import NatsBus
from gateway.nats.external import ExternalBroker
from gateway.nats.link import Login
from gateway.nats.server_process import BrokerError, find_program
from protocol import subjects
from protocol.errors import BusUnavailableError, InvalidInputError, NotFoundError
from supervisor.heartbeat import Heartbeat
from tests.broker import NODE_KEY, embedded, hand_out
from tests.integration.nats.conftest import SMALL, Connect, crash

WAIT = 20.0
REPOSITORY = Path(__file__).resolve().parents[3]

NODE = """
import asyncio, pathlib, sys
from tests.broker import embedded

async def main():
    broker = embedded(pathlib.Path(sys.argv[1]))
    await broker.start()
    print("up", broker.pid, flush=True)
    await broker.wait()

asyncio.run(main())
"""
"""A node of its own, to be killed: starts a broker in the directory that it is given, and says its pid."""


async def test_a_killed_broker_starts_again_with_its_data_its_credentials_and_its_port(
    broker: EmbeddedBroker, connect: Connect
) -> None:
    await broker.ensure_account("acme")
    before = broker.login("clinic-acme", Role.SERVICE)
    nc = await connect("clinic-acme", Role.PLANTAO)
    await nc.jetstream().add_stream(name="notes", subjects=["notes"])
    await nc.jetstream().publish("notes", b"keep me")
    await crash(broker)
    await broker.start()
    assert broker.login("clinic-acme", Role.SERVICE) == before
    again = await connect("clinic-acme", Role.PLANTAO)
    assert (await again.jetstream().stream_info("notes")).state.messages == 1


async def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        broker = embedded(tmp_path / "nats", port=port)
        with pytest.raises(BrokerError, match=rf"{port}.*nats\.port"):
            await broker.start()
    assert broker.pid is None
    await broker.start()
    assert broker.server == f"nats://127.0.0.1:{port}"
    await broker.stop(timeout=5)


async def test_a_remembered_port_that_is_taken_meanwhile_is_given_up(tmp_path: Path) -> None:
    broker = embedded(tmp_path / "nats")
    await broker.start()
    old = broker.server
    await broker.stop(timeout=5)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(old.rpartition(":")[2])))
        taken.listen()
        await broker.start()
    assert broker.server != old
    await crash(broker)
    await broker.stop(timeout=5)


async def test_a_broker_left_over_from_a_killed_node_is_ended_first(tmp_path: Path) -> None:
    killed = embedded(tmp_path / "nats")
    await killed.start()
    left_over = killed.pid
    assert left_over is not None
    ended = asyncio.create_task(killed.wait())
    successor = embedded(tmp_path / "nats")
    await successor.start()
    await ended
    assert successor.pid != left_over
    assert successor.server == killed.server
    await successor.stop(timeout=5)


async def test_a_broker_left_over_from_a_killed_node_is_ended_first_even_if_it_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.nats.broker._LEFT_OVER_TIMEOUT", 0.2)
    node = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", NODE, str(tmp_path / "nats")), cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE
    )
    assert node.stdout is not None
    await asyncio.wait_for(node.stdout.readuntil(b"up "), WAIT)
    left_over = int(await asyncio.wait_for(node.stdout.readline(), WAIT))
    os.kill(left_over, signal.SIGSTOP)
    node.kill()
    await node.wait()
    successor = embedded(tmp_path / "nats")
    await successor.start()
    with suppress(ChildProcessError):  # it is ours if an earlier test has made us the owner of orphans
        await asyncio.to_thread(os.waitpid, left_over, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(left_over, 0)
    assert successor.pid is not None
    await successor.stop(timeout=5)


async def test_a_pid_file_that_names_another_process_harms_nobody(tmp_path: Path) -> None:
    bystander = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    directory = tmp_path / "nats"
    directory.mkdir()
    (directory / "server.pid").write_text(str(bystander.pid))
    broker = embedded(directory)
    await broker.start()
    await broker.stop(timeout=5)
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


async def test_two_servers_never_share_a_directory(broker: EmbeddedBroker, tmp_path: Path) -> None:
    another = EmbeddedBroker(tmp_path / "nats", key=NODE_KEY, runtime=tmp_path / "another's")
    with pytest.raises(BrokerError, match="used by another nats-server"):
        await another.start()
    assert broker.pid is not None


async def test_a_server_that_dies_at_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    directory = tmp_path / "nats"
    directory.mkdir()
    (directory / "jetstream").write_text("in the way")
    with pytest.raises(BrokerError, match=r"ended at start.*JetStream"):
        await embedded(directory).start()


async def test_a_directory_of_any_name_will_do(tmp_path: Path) -> None:
    broker = embedded(tmp_path / 'a "quoted" \\ directory, é {x}')
    await broker.start()
    await broker.ensure_account("acme")
    await broker.stop(timeout=5)


async def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("gateway.nats.server_process._DISTRIBUTION", "no-such-distribution")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(BrokerError, match="no-such-distribution"):
        await embedded(tmp_path / "nats").start()


def test_the_program_is_found_by_its_distribution_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    beside = find_program()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert find_program() == beside


async def test_a_stopped_broker_is_gone_and_can_be_stopped_again(tmp_path: Path) -> None:
    broker = embedded(tmp_path / "nats")
    await broker.stop(timeout=1)
    await broker.start()
    pid = broker.pid
    assert pid is not None
    await broker.stop(timeout=5)
    await broker.stop(timeout=5)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    broker = embedded(tmp_path / "nats")
    await broker.start()
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    await broker.stop(timeout=0.1)
    assert broker.pid is None


async def test_a_server_that_gives_no_answer_is_killed(tmp_path: Path) -> None:
    broker = embedded(tmp_path / "nats", heartbeat=Heartbeat(every=0.1, silence=3.0))
    await broker.start()
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    reason = await asyncio.wait_for(broker.wait(), WAIT)
    assert reason.startswith("nats-server was killed: no heartbeat for 3 s; it said: ")
    await broker.start()
    await broker.ensure_account("acme")
    await broker.stop(timeout=5)


async def test_a_server_that_is_busy_reloading_answers(tmp_path: Path) -> None:
    broker = embedded(tmp_path / "nats", heartbeat=Heartbeat(every=0.02, silence=4.0))
    await broker.start()
    ended = asyncio.create_task(broker.wait())
    for number in range(10):
        await broker.ensure_account(f"clinic{number}")
    await asyncio.wait({ended}, timeout=4.5)
    assert not ended.done()
    await broker.stop(timeout=5)
    await asyncio.wait({ended}, timeout=0.05)
    assert not ended.done(), "an end that was asked for is no news"
    ended.cancel()
    await asyncio.wait({ended})


async def test_a_probe_tells_a_server_that_refuses_from_one_that_is_away(broker: EmbeddedBroker) -> None:
    stranger = Login(broker.server, "nobody", "wrong")
    assert not await probe.usable(stranger, timeout=WAIT)
    assert await probe.alive(stranger, timeout=WAIT)
    await broker.stop(timeout=5)
    assert not await probe.alive(stranger, timeout=WAIT)


async def test_a_server_is_not_taken_for_hung_because_we_have_no_descriptors(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(asyncio, "open_connection", full)
    assert await probe.alive(broker.login("plantao"), timeout=WAIT)


async def test_files_that_hold_credentials_are_their_owners_alone(broker: EmbeddedBroker, tmp_path: Path) -> None:
    for path in (tmp_path / "nats" / "accounts", tmp_path / "nats-run" / "server.conf"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_accounts_come_and_go_while_connections_stay(broker: EmbeddedBroker, connect: Connect) -> None:
    platform = await connect(subjects.ACCOUNT_PLATFORM)
    await asyncio.gather(*(broker.ensure_account(f"clinic{number}") for number in range(20)))
    stays, goes = await connect("clinic-clinic1"), await connect("clinic-clinic2")
    login = broker.login("clinic-clinic2")
    await broker.remove_account("clinic2")
    refused = Client()
    with pytest.raises(NatsError, match="Authorization"):
        await refused.connect(login.url, allow_reconnect=False, error_cb=_ignore)
    await refused.close()
    with pytest.raises(NotFoundError, match="clinic-clinic2"):
        broker.login("clinic-clinic2")
    await stays.flush()
    await platform.flush()
    assert goes.is_closed


async def test_a_removed_account_comes_back_empty_and_with_new_credentials(
    broker: EmbeddedBroker, connect: Connect
) -> None:
    await broker.ensure_account("acme")
    first = broker.login("clinic-acme")
    await (await connect("clinic-acme", Role.PLANTAO)).jetstream().add_stream(name="notes", subjects=["notes"])
    await broker.remove_account("acme")
    await broker.remove_account("acme")
    await broker.ensure_account("acme")
    assert broker.login("clinic-acme") != first
    assert await (await connect("clinic-acme", Role.PLANTAO)).jetstream().streams_info() == []


async def test_accounts_need_a_running_broker(tmp_path: Path) -> None:
    broker = embedded(tmp_path / "nats")
    with pytest.raises(BrokerError, match="not been started"):
        await broker.ensure_account("acme")
    with pytest.raises(BrokerError, match="not been started"):
        broker.login("plantao")
    await broker.start()
    await broker.stop(timeout=5)
    with pytest.raises(BrokerError, match="not running"):
        await broker.ensure_account("acme")


async def test_an_external_server_is_reached_with_the_credentials_of_a_file(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    external = ExternalBroker(broker.server, hand_out(tmp_path / "nats"))
    with pytest.raises(BusUnavailableError, match=r"clinic-acme.*accounts\.json"):
        await external.ensure_account("acme")
    await broker.ensure_account("acme")
    hand_out(tmp_path / "nats")
    await external.ensure_account("acme")
    nc = await nats.connect(external.login("clinic-acme").url)
    await nc.close()
    bus = NatsBus(external, retention=SMALL)
    await bus.start()
    with pytest.raises(BusUnavailableError, match=r"clinic-other.*accounts\.json"):
        await bus.open_clinic("other")
    await bus.open_clinic("acme")
    await bus.stop(timeout=2)
    await external.remove_account("acme")
    assert external.login("clinic-acme") == broker.login("clinic-acme")
    with pytest.raises(InvalidInputError, match="missing"):
        ExternalBroker(broker.server, tmp_path / "missing")


async def _ignore(error: Exception) -> None:
    """The client library prints what nobody handles."""
