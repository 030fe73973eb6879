"""``ApiKey``: what is known of a key, which is not the key itself."""

from datetime import datetime
from functools import cached_property
from typing import Annotated, Final

from msgspec import Meta, Struct

from protocol.access import Caller, Role
from protocol.channel import DisplayName
from protocol.ids import ClinicId

MOST_CLINICS: Final = 1000
"""That one key may name; a key for more is one for all."""

PerHour = Annotated[int, Meta(ge=0, le=10_000_000, description="requests an hour; 0: no limit")]
Clinics = Annotated[list[ClinicId], Meta(min_length=1, max_length=MOST_CLINICS)]


class ApiKey(Struct, frozen=True, kw_only=True, dict=True):
    """A key as it stands in ``keys.json``. ``id`` is public; ``digest`` recognises the key.

    ``clinics`` None: all, and the node. ``made_by``: the key that made it, or ``admin.key``. ``per_hour``: requests (0:
    no limit; None: as the settings say). ``revoked_at``: it is only remembered, so that it is not taken for a new one
    when it is found in ``admin.key`` again.
    """

    id: str
    name: DisplayName
    role: Role
    clinics: Clinics | None
    digest: str
    made_by: str
    created_at: datetime
    expires_at: datetime | None = None
    per_hour: PerHour | None = None
    revoked_at: datetime | None = None

    @cached_property
    def caller(self) -> Caller:
        """Who asks with it."""
        clinics = None if self.clinics is None else frozenset(self.clinics)
        return Caller(id=self.id, role=self.role, clinics=clinics)

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and now >= self.expires_at
