"""An audit in memory, which can be full."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from protocol.audit import Entry, Verification
from protocol.errors import StoreUnavailableError


class MemoryAudit:
    """Implements ``protocol.audit.VerifiedAudit``; nothing is ever wrong with it."""

    def __init__(self) -> None:
        self.kept: list[Entry] = []
        self.full = False

    async def asked(
        self,
        who: str,
        action: str,
        clinic: str | None = None,
        channel: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> int:
        return self._append(who, action, "asked", clinic, channel, None, detail)

    async def ended(self, about: int, outcome: str, detail: Mapping[str, str] | None = None) -> None:
        first = self.kept[about - 1]
        self._append(first.who, first.action, outcome, first.clinic, first.channel, about, detail)

    async def noted(
        self,
        who: str,
        action: str,
        clinic: str | None = None,
        channel: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> None:
        self._append(who, action, "done", clinic, channel, None, detail)

    async def entries(self, clinic: str | Collection[str] | None, *, before: int | None, limit: int) -> Sequence[Entry]:
        wanted = {clinic} if isinstance(clinic, str) else clinic
        chosen = [each for each in reversed(self.kept) if wanted is None or each.clinic in wanted]
        return [each for each in chosen if before is None or each.seq < before][:limit]

    async def verify(self, since: tuple[int, str] | None = None) -> Verification:
        return Verification(intact=True, last=len(self.kept), hash="")

    def said(self) -> list[tuple[str, str]]:
        """Action and outcome of all, oldest first."""
        return [(each.action, each.outcome) for each in self.kept]

    def _append(
        self,
        who: str,
        action: str,
        outcome: str,
        clinic: str | None,
        channel: str | None,
        about: int | None,
        detail: Mapping[str, str] | None,
    ) -> int:
        if self.full:
            raise StoreUnavailableError("the audit's disk is full")
        seq = len(self.kept) + 1
        self.kept.append(
            Entry(
                seq=seq,
                at=datetime.now(UTC),
                who=who,
                action=action,
                outcome=outcome,
                clinic=clinic,
                channel=channel,
                about=about,
                detail=detail or {},
            )
        )
        return seq
