"""Keys for tests, that are written nowhere unless they are changed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.access.admin_key import adopt
from gateway.access.api_keys import ApiKeys
from gateway.access.key import ApiKey
from gateway.access.secret import digest
from protocol.access import Role
from protocol.commands import utc_now

BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)


def api_key(id: str, secret: str, **changes: Any) -> ApiKey:
    """An admin's key for all clinics, with ``changes``."""
    fields: dict[str, Any] = {"name": id, "role": Role.ADMIN, "clinics": None, "made_by": "test", "created_at": BEGAN}
    return ApiKey(id=id, digest=digest(secret), **{**fields, **changes})


def admin_keys(secret: str) -> ApiKeys:
    """The keys of a node that has but the one of its administrator."""
    return ApiKeys(Path("/nowhere/keys.json"), adopt([], secret, utc_now()), utc_now)
