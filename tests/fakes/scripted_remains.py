"""What ports leave behind, in memory: a journal and a session store's traces, which outlive ports and main."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from protocol.errors import StoreGoneError, StoreUnavailableError
from protocol.interfaces import Trace
from protocol.port_events import AlreadyDecrypted, MessageReceived, ReceiptReceived, Record, SendAnswered, Undecryptable

DEVICE = "5511999990000:7@s.whatsapp.net"
AT = datetime(2026, 1, 1, tzinfo=UTC)

What = MessageReceived | ReceiptReceived | Undecryptable | AlreadyDecrypted | SendAnswered


class ScriptedRemains:
    """Implements ``protocol.interfaces.Remains``. ``failing``: all but ``done`` raise.

    ``records``: what is in the journal, by number; ``finished``: the numbers that were said done; ``ids``: the
    WhatsApp ids by secret, as the session store has them; ``rows``: its traces; ``device``: whose session it holds;
    ``pruned``: the rows up to which old traces may go, as they were said; ``unprunable``: that raises.
    """

    def __init__(self) -> None:
        self.failing = False
        self.device: str | None = DEVICE
        self.records: dict[int, Record] = {}
        self.finished: list[int] = []
        self.ids: dict[bytes, str] = {}
        self.rows: list[Trace] = []
        self.pruned: list[int] = []
        self.unprunable = False
        self._number = 0

    # -- for tests and ports --

    def write(self, what: What) -> Record:
        """A port writes into its journal."""
        self._number += 1
        record = Record(number=self._number, what=what)
        self.records[record.number] = record
        return record

    def trace(self, wa_id: str, secret: bytes, chat: str = "", sender: str = "") -> Trace:
        """whatsmeow writes into its session store."""
        row = Trace(row=len(self.rows) + 1, chat=chat, sender=sender, wa_id=wa_id, secret=secret)
        self.rows.append(row)
        self.ids[secret] = wa_id
        return row

    def empty(self, device: str | None = None) -> None:
        """The session is gone, all rows with it; perhaps another begins."""
        self.device = device
        self.ids.clear()
        self.rows.clear()

    # -- Remains --

    async def journal(self) -> Sequence[Record]:
        self._check()
        return list(self.records.values())

    def done(self, numbers: Sequence[int]) -> None:
        self.finished += numbers
        for number in numbers:
            self.records.pop(number, None)

    async def last_row(self) -> int:
        self._check()
        return len(self.rows)

    async def traces(self, after: int, until: int) -> Sequence[Trace]:
        self._check()
        return [row for row in self.rows if after < row.row <= until]

    async def prune(self, traced: int) -> None:
        self.pruned.append(traced)
        if self.unprunable:
            raise StoreUnavailableError("session store: database is locked")

    async def unlink(self) -> None:
        self._check()
        self.empty()

    async def ids_of(self, secrets: Sequence[bytes], device: str | None) -> Mapping[bytes, str]:
        self._check()
        if device is None or device != self.device:
            raise StoreGoneError(f"the session store is not that of {device}")
        return {secret: self.ids[secret] for secret in secrets if secret in self.ids}

    def _check(self) -> None:
        if self.failing:
            raise StoreUnavailableError("session store: disk I/O error")
