"""The ledger against a model in memory, with the file closed, and its process killed, between steps."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.store import SqliteStore
from gateway.store.ledger import SqliteLedger
from protocol.codec import Encoding
from protocol.errors import ConflictError
from protocol.events import ResultEvent
from protocol.ledger import Accepted, Conflicted, Repeated, Verdict
from tests.integration.store.samples import offer, sent

T = TypeVar("T")

channels = st.sampled_from(["recepcao", "laboratorio"])
ids = st.sampled_from(["a", "b", "c", "d"])
several_ids = st.lists(ids, max_size=4, unique=True)
offers = st.builds(offer, ids, st.sampled_from(["Olá", "Tchau"]), encoding=st.sampled_from(Encoding))


@dataclass
class Command:
    """What the model holds of one command."""

    text: str | None
    attempts: int = 0
    in_flight: bool = False
    result: ResultEvent | None = None


@dataclass
class Channel:
    """What the model holds of one channel: commands in the order of acceptance, ids in the order of finishing."""

    commands: dict[str, Command] = field(default_factory=dict)
    unpublished: list[str] = field(default_factory=list)
    senders: dict[str, str] = field(default_factory=dict)

    def verdict(self, id: str, text: str | None) -> tuple[type[Verdict], ResultEvent | None]:
        if id not in self.commands:
            self.commands[id] = Command(text)
            return Accepted, None
        known = self.commands[id]
        return (Repeated, known.result) if known.text == text else (Conflicted, None)


class LedgerMachine(RuleBasedStateMachine):
    """Every step is done to both, and after it both must say the same."""

    @initialize()
    def begin_empty(self) -> None:
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp())
        self.life = 0
        self.finished = 0
        self.model: dict[str, Channel] = {"recepcao": Channel(), "laboratorio": Channel()}
        self.start()

    def run_async(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def start(self) -> None:
        self.store = SqliteStore(self.data)
        self.run_async(self.store.start())
        self.ledger: SqliteLedger = self.run_async(self.store.open_clinic("acme"))

    @property
    def data(self) -> Path:
        return self.root / str(self.life)

    @rule(channel=channels, batch=st.lists(offers, max_size=5))
    def accept(self, channel: str, batch: list[Any]) -> None:
        verdicts = self.run_async(self.ledger.accept(channel, batch))
        said = [(type(verdict), verdict.result if isinstance(verdict, Repeated) else None) for verdict in verdicts]
        assert said == [self.model[channel].verdict(each.command.id, each.command.text) for each in batch]

    @rule(channel=channels, ids=several_ids)
    def begin(self, channel: str, ids: list[str]) -> None:
        known = [self.model[channel].commands.get(key) for key in ids]
        if any(command is None or command.result for command in known):
            with pytest.raises(ConflictError):
                self.run_async(self.ledger.begin(channel, ids))
            return
        self.run_async(self.ledger.begin(channel, ids))
        for command in known:
            assert command is not None
            command.attempts += 1
            command.in_flight = True

    @rule(channel=channels, id=ids)
    def retry(self, channel: str, id: str) -> None:
        self.run_async(self.ledger.retry(channel, id))
        if command := self.model[channel].commands.get(id):
            command.in_flight = False

    @rule(channel=channels, ids=several_ids)
    def finish(self, channel: str, ids: list[str]) -> None:
        self.finished += 1
        results = [sent(key, f"{key}{self.finished}") for key in ids]
        model = self.model[channel]
        if any(key not in model.commands for key in ids):
            with pytest.raises(ConflictError):
                self.run_async(self.ledger.finish(channel, results))
            return
        self.run_async(self.ledger.finish(channel, results))
        for result in results:
            command = model.commands[result.id]
            if command.result is None:
                command.result = result
                model.unpublished.append(result.id)
                model.senders[str(result.wa_id)] = result.id

    @rule(channel=channels, ids=several_ids)
    def publish(self, channel: str, ids: list[str]) -> None:
        self.run_async(self.ledger.published(channel, ids))
        model = self.model[channel]
        model.unpublished = [key for key in model.unpublished if key not in ids]

    @rule()
    def reopen(self) -> None:
        self.run_async(self.store.close_clinic("acme"))
        assert self.run_async(self.store.open_clinic("acme")) is self.ledger

    @rule()
    def be_killed(self) -> None:
        """The files as they are between two calls are what a killed process leaves."""
        before = self.data
        self.life += 1
        shutil.copytree(before, self.data, ignore=shutil.ignore_patterns("*-shm"))
        self.run_async(self.store.stop(timeout=5))
        self.start()

    @invariant()
    def both_say_the_same(self) -> None:
        for name, model in self.model.items():
            waiting = self.run_async(self.ledger.unfinished(name))
            assert [(each.command.id, each.command.text, each.attempts, each.uncertain) for each in waiting] == [
                (key, command.text, command.attempts, command.in_flight)
                for key, command in model.commands.items()
                if command.result is None
            ]
            unpublished = self.run_async(self.ledger.unpublished(name))
            assert [result for result, _ in unpublished] == [model.commands[key].result for key in model.unpublished]
            senders = self.run_async(self.ledger.senders(name, [*model.senders, "unknown"]))
            assert {wa_id: sender.id for wa_id, sender in senders.items()} == model.senders

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run_async(self.store.stop(timeout=5))
            self.runner.close()
            shutil.rmtree(self.root)


TestLedgerAgainstItsModel = LedgerMachine.TestCase
TestLedgerAgainstItsModel.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
