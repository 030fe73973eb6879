"""The NATS accounts of a node, and who may log in to each. Pure.

=============  ===========================  ==================================================================
account        logins                       what it is for
=============  ===========================  ==================================================================
``plantao``    ``plantao``                  the registry
``platform``   ``plantao``, ``service``,    trusted services that serve many clinics; imports every clinic's subjects
               those issued
``clinic-<c>`` ``plantao``, ``service``,    one clinic: its streams, and its own services
               those issued
=============  ===========================  ==================================================================

An account per clinic, because permissions inside one account do not isolate: NATS checks neither reply subjects nor
where a consumer delivers, so whoever may call any JetStream API can have the server call a forbidden one.
``permissions`` says what that means for the kinds of login. How the accounts are kept is in ``credentials``, what the
server is told in ``server_config``.
"""

import secrets
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self, TypeVar

from msgspec import Meta, Struct
from msgspec.structs import replace

from protocol import subjects
from protocol.errors import AlreadyExistsError, ConflictError, NotFoundError
from protocol.ids import check_name

T = TypeVar("T")

MAX_PAYLOAD: Final = 2 << 20
"""Bytes of body and headers in one message: a dead letter holds a whole body of 1 MiB, in base64 if it is JSON."""
MOST_ISSUED: Final = 100
"""Logins that may be issued for one account."""

_CLINIC_PREFIX: Final = subjects.account("")
_PRINTABLE: Final = r"\A[!#-\[\]-~]{1,256}\Z"
"""Visible ASCII without the double quote and the backslash, which would end a string in the configuration."""

Word = Annotated[str, Meta(pattern=_PRINTABLE)]


class Role(StrEnum):
    """Whose login it is that every account has: Plantão's own, or that of the services which use it."""

    PLANTAO = "plantao"
    SERVICE = "service"


class Kind(StrEnum):
    """What a login is good for, inside its account; see ``permissions``."""

    SERVICE = "service"
    SENDER = "sender"
    LISTENER = "listener"


class Credential(Struct, frozen=True):
    """A user of an account. User names are unique over all accounts."""

    user: Word
    password: Word

    def __repr__(self) -> str:
        return f"Credential(user={self.user!r})"


class Issued(Struct, frozen=True, kw_only=True):
    """A login that somebody asked for, by the ``name`` that is its own in its account."""

    name: str
    kind: Kind
    credential: Credential
    created_at: datetime
    expires_at: datetime | None = None

    def expired(self, now: datetime) -> bool:
        """Whether it is good for nothing any more."""
        return self.expires_at is not None and self.expires_at <= now


class Accounts(Struct, frozen=True, omit_defaults=True):
    """All credentials; in the file, ``{"v": 1, "accounts": {name: {role: {"user", "password"}}}}``, and ``issued``, by
    account and name, if there are any."""

    v: Literal[1]
    accounts: dict[str, dict[Role, Credential]]
    issued: dict[str, dict[str, Issued]] = {}

    @classmethod
    def fresh(cls) -> Self:
        """The accounts of a node that has no clinics yet, with new passwords."""
        return cls(
            v=1,
            accounts={
                subjects.ACCOUNT_NODE: _credentials(subjects.ACCOUNT_NODE, Role.PLANTAO),
                subjects.ACCOUNT_PLATFORM: _credentials(subjects.ACCOUNT_PLATFORM, *Role),
            },
        )

    @property
    def clinics(self) -> list[str]:
        """The clinics that have an account, by id."""
        return sorted(name.removeprefix(_CLINIC_PREFIX) for name in self.accounts if name.startswith(_CLINIC_PREFIX))

    def with_clinic(self, clinic: str) -> "Accounts":
        """These and an account for ``clinic``; the same object if it has one. Raises InvalidIdError."""
        name = subjects.account(check_name("clinic", clinic))
        if name in self.accounts:
            return self
        return replace(self, accounts={**self.accounts, name: _credentials(name, *Role)})

    def without_clinic(self, clinic: str) -> "Accounts":
        """These without the account of ``clinic``; the same object if it has none."""
        name = subjects.account(clinic)
        if name not in self.accounts:
            return self
        return replace(self, accounts=_without(self.accounts, name), issued=_without(self.issued, name))

    def find(self, account: str, role: Role) -> Credential:
        """Raises NotFoundError, naming the account and the login."""
        try:
            return self.accounts[account][role]
        except KeyError:
            raise NotFoundError(f"login {role} of the NATS account {account}") from None

    def logins(self, account: str) -> dict[str, Issued | Credential]:
        """What services log in by, by name: ``service``, unless it was revoked, and those issued.

        Raises:
            NotFoundError: there is no such account.
        """
        if account not in self.accounts:
            raise NotFoundError(f"NATS account {account}")
        own = self.accounts[account].get(Role.SERVICE)
        return {**({} if own is None else {Role.SERVICE.value: own}), **self.issued.get(account, {})}

    def login(self, account: str, name: str) -> Issued | Credential:
        """The login ``name``. Raises NotFoundError."""
        try:
            return self.logins(account)[name]
        except KeyError:
            raise NotFoundError(f"login {name} of the NATS account {account}") from None

    def issue(
        self, account: str, name: str, kind: Kind, created_at: datetime, expires_at: datetime | None = None
    ) -> "Accounts":
        """These and a new login for ``account``.

        Raises:
            InvalidIdError: ``name`` is none.
            NotFoundError: there is no such account.
            AlreadyExistsError: the account has a login ``name``.
            ConflictError: it has as many as it may have.
        """
        there = self.logins(account)
        if check_name("name", name) in there or name in list(Role):
            raise AlreadyExistsError(f"login {name} of the NATS account {account}")
        if len(there) >= MOST_ISSUED:
            raise ConflictError(f"the NATS account {account} has {MOST_ISSUED} logins: revoke one that nobody uses")
        made = Issued(
            name=name,
            kind=kind,
            credential=_credential(account, name),
            created_at=created_at,
            expires_at=expires_at,
        )
        return self._with_issued(account, {**self.issued.get(account, {}), name: made})

    def rotate(self, account: str, name: str) -> "Accounts":
        """These with a new password for the login ``name``. Raises NotFoundError."""
        found, fresh = self.login(account, name), _credential(account, name)
        if isinstance(found, Issued):
            return self._with_issued(account, {**self.issued[account], name: replace(found, credential=fresh)})
        return replace(self, accounts={**self.accounts, account: {**self.accounts[account], Role.SERVICE: fresh}})

    def revoke(self, account: str, name: str) -> "Accounts":
        """These without the login ``name``.

        Raises:
            NotFoundError
            ConflictError: it is the one of ``platform`` that the node itself shows.
        """
        if isinstance(self.login(account, name), Issued):
            return self._with_issued(account, _without(self.issued[account], name))
        if account == subjects.ACCOUNT_PLATFORM:
            raise ConflictError(f"the login {name} of {account} is the one in node.json: rotate it instead")
        own = {role: credential for role, credential in self.accounts[account].items() if role is not Role.SERVICE}
        return replace(self, accounts={**self.accounts, account: own})

    def valid(self, now: datetime) -> "Accounts":
        """These without the logins that have expired."""
        return replace(
            self,
            issued={
                account: {name: one for name, one in there.items() if not one.expired(now)}
                for account, there in self.issued.items()
            },
        )

    def next_expiry(self, now: datetime) -> datetime | None:
        """When the next login expires; None if none does."""
        ends = [one.expires_at for there in self.issued.values() for one in there.values() if one.expires_at]
        return min((end for end in ends if end > now), default=None)

    def _with_issued(self, account: str, there: dict[str, Issued]) -> "Accounts":
        return replace(self, issued={**_without(self.issued, account), **({account: there} if there else {})})


def _without(of: dict[str, T], name: str) -> dict[str, T]:
    return {key: value for key, value in of.items() if key != name}


def _credential(account: str, name: str) -> Credential:
    return Credential(f"{account}.{name}", secrets.token_hex(24))


def _credentials(account: str, *roles: Role) -> dict[Role, Credential]:
    return {role: _credential(account, role) for role in roles}
