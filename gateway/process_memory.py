"""How much memory a process takes, by the kernel's word."""

import os
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(process: int | str) -> int | None:
    """Resident bytes of ``process`` (a pid, or ``self``), what it shares with others included; None: it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except OSError:
        return None
