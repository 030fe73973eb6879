"""The audit. For now: nothing is kept."""

from collections.abc import Mapping, Sequence

from protocol.audit import Entry


class UnkeptAudit:
    """In place of the audit until there is one (branch w-audit replaces it)."""

    async def asked(
        self,
        who: str,
        action: str,
        clinic: str | None = None,
        channel: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> int:
        """Nothing."""
        return 0

    async def ended(self, about: int, outcome: str, detail: Mapping[str, str] | None = None) -> None:
        """Nothing."""

    async def noted(
        self,
        who: str,
        action: str,
        clinic: str | None = None,
        channel: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing."""

    async def entries(self, clinic: str | None, *, before: int | None, limit: int) -> Sequence[Entry]:
        """None."""
        return []
