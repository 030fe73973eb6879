"""Logins that are issued to services: NATS credentials of their own, each for one account, revoked one by one.

A password is shown once, when it is issued or rotated. Rotating makes the old one good for nothing at once and cuts who
is connected by it; to change it without an interruption, issue a second login, move the service there, and revoke the
first.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import Struct

from gateway.nats.accounts import Credential, Issued, Kind
from gateway.nats.broker import EmbeddedBroker
from gateway.nats.link import Login
from gateway.nats.permissions import inbox, kind_of
from protocol.errors import ConflictError, InvalidInputError


class LoginView(Struct, frozen=True, kw_only=True):
    """A login as it is shown: everything but the password. The client's inboxes have to begin with ``inbox_prefix``;
    ``created_at`` None: it is the one that every account has."""

    account: str
    name: str
    kind: Kind
    user: str
    inbox_prefix: str
    created_at: datetime | None
    expires_at: datetime | None
    expired: bool


class LoginWithPassword(LoginView, frozen=True, kw_only=True):
    """The one time that the password is shown; ``url`` holds it, too."""

    password: str
    url: str


class Logins:
    """Those of the accounts on ``broker``; None: a server of somebody else's, whose accounts are not ours to change.
    For the loop's thread."""

    def __init__(self, broker: EmbeddedBroker | None, clock: Callable[[], datetime]) -> None:
        self._broker = broker
        self._clock = clock
        self._told: list[Callable[[str, str], None]] = []

    def on_rotated(self, tell: Callable[[str, str], None]) -> None:
        """Have ``tell`` called with account and name of each login that has a new password, on the loop's thread."""
        self._told.append(tell)

    def all(self, account: str) -> list[LoginView]:
        """By name. Raises NotFoundError, ConflictError, BusUnavailableError."""
        there = self._own.accounts.logins(account)
        return [LoginView(**self._shown(account, name, there[name])) for name in sorted(there)]

    async def issue(self, account: str, name: str, kind: Kind, expires_at: datetime | None) -> LoginWithPassword:
        """Make a login; it is good when this returns.

        Raises:
            InvalidInputError: it would be expired already.
            InvalidIdError, NotFoundError, AlreadyExistsError, ConflictError, BusUnavailableError
        """
        now = self._clock()
        if expires_at is not None and expires_at.tzinfo is None:
            raise InvalidInputError("expires_at", "a time with an offset, such as 2026-11-20T12:00:00Z")
        if expires_at is not None and expires_at <= now:
            raise InvalidInputError("expires_at", "a time to come")
        await self._own.change_login(account, name, lambda these: these.issue(account, name, kind, now, expires_at))
        return self._with_password(account, name)

    async def rotate(self, account: str, name: str) -> LoginWithPassword:
        """Give a login a new password; the old one is good for nothing when this returns.

        Raises:
            NotFoundError, ConflictError, BusUnavailableError
        """
        try:
            await self._own.change_login(account, name, lambda these: these.rotate(account, name))
        finally:  # it may have come to be all the same
            for tell in self._told:
                tell(account, name)
        return self._with_password(account, name)

    async def revoke(self, account: str, name: str) -> None:
        """End a login, and cut who is connected by it.

        Raises:
            NotFoundError, ConflictError, BusUnavailableError
        """
        await self._own.change_login(account, name, lambda these: these.revoke(account, name))

    @property
    def _own(self) -> EmbeddedBroker:
        if self._broker is None:
            raise ConflictError("the NATS server is not this node's: issue logins there (see plantao nats config)")
        return self._broker

    def _with_password(self, account: str, name: str) -> LoginWithPassword:
        broker = self._own
        login = broker.accounts.login(account, name)
        credential = _credential(login)
        url = Login(broker.server, credential.user, credential.password).url
        return LoginWithPassword(**self._shown(account, name, login), password=credential.password, url=url)

    def _shown(self, account: str, name: str, login: Issued | Credential) -> dict[str, Any]:
        issued = login if isinstance(login, Issued) else None
        return {
            "account": account,
            "name": name,
            "kind": kind_of(login),
            "user": _credential(login).user,
            "inbox_prefix": inbox(login),
            "created_at": None if issued is None else issued.created_at,
            "expires_at": None if issued is None else issued.expires_at,
            "expired": issued is not None and issued.expired(self._clock()),
        }


def _credential(login: Issued | Credential) -> Credential:
    return login.credential if isinstance(login, Issued) else login
