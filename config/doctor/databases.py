"""The clinics' databases: how large they are against what they may be."""

from collections.abc import Iterator, Mapping
from typing import Final

from config.doctor.finding import Finding, fine, warning
from config.sections import Settings
from gateway.store.files import clinics_directory

CHECK: Final = "databases"
NEARLY: Final = 0.9
"""The part of its limit at which a database is worth a look."""
_MIB: Final = 1 << 20


def look(settings: Settings) -> Iterator[Finding]:
    """All that there are. Raises OSError."""
    found = {path.parent.name: path.stat().st_size for path in clinics_directory(settings.data).glob("*/clinic.db")}
    yield from sized(found, settings.limits.database_bytes)


def sized(sizes: Mapping[str, int], limit: int) -> Iterator[Finding]:
    """Those of clinics that are nearly as large as ``limit``; a file does not shrink, so there may be room in it."""
    large = {clinic: size for clinic, size in sorted(sizes.items()) if size > NEARLY * limit}
    for clinic, size in large.items():
        told = f"the database of {clinic} has {size // _MIB} of {limit // _MIB} MiB (limits.database_bytes)"
        mend = f"what is in it: plantao clinic stats {clinic}; raise the limit, or keep less (ledger.keep_days)"
        yield warning(CHECK, told, mend)
    if sizes and not large:
        yield fine(CHECK, f"{len(sizes)}, the largest has {max(sizes.values()) // _MIB} of {limit // _MIB} MiB")
