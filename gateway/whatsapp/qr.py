"""How long a QR code is good for. neonize says only when there is a new one."""

from typing import Final

_FIRST_S: Final = 60.0
_NEXT_S: Final = 20.0


class QrSchedule:
    """WhatsApp gives six codes: the first is good for 60 s, the others for 20 s each (measured). A code with the same
    reference as the one before is that one with a new secret (the phone rotates it), and keeps its time."""

    def __init__(self) -> None:
        self._reference: str | None = None
        self._until = 0.0

    def shown(self, code: str, now: float) -> float:
        """Seconds for which ``code``, shown at ``now`` (monotonic), is good."""
        reference = code.split("#")[-1].split(",")[0]
        if reference != self._reference:
            self._until = now + (_FIRST_S if self._reference is None else _NEXT_S)
            self._reference = reference
        return max(0.0, self._until - now)
