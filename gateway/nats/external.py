"""Any NATS server, run by somebody else."""

from pathlib import Path
from urllib.parse import urlsplit

from gateway.nats import credentials
from gateway.nats.accounts import Accounts, Role
from gateway.nats.link import Login
from gateway.nats.tls import to_another
from protocol import subjects
from protocol.errors import BusUnavailableError, InvalidInputError, NotFoundError


class ExternalBroker:
    """The server at ``url`` (no credentials in it), whose accounts somebody has set up; their credentials stand in
    ``accounts_file``, of the form that the embedded broker writes. It is read again whenever an account is missed.

    Implements ``Broker``. Nothing is contacted here.

    Raises:
        InvalidInputError: ``url`` is not one of a NATS server, or ``accounts_file`` is missing or unreadable.
    """

    def __init__(self, url: str, accounts_file: Path, ca: Path | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("nats", "tls", "ws", "wss") or not parts.hostname or parts.username:
            raise InvalidInputError("nats.url", "nats://host:port or tls://host:port, without credentials")
        self._tls = to_another(ca) if parts.scheme in ("tls", "wss") else None
        self._url = url
        self._file = accounts_file
        self._accounts = self._load()

    @property
    def server(self) -> str:
        """Its URL, without credentials."""
        return self._url

    def login(self, account: str, role: Role = Role.PLANTAO) -> Login:
        """How to connect to ``account`` as ``role``. Raises NotFoundError, naming the file and the account."""
        try:
            found = self._accounts.find(account, role)
        except NotFoundError as error:
            raise NotFoundError(f"{error.what} (in {self._file})") from error
        return Login(self._url, found.user, found.password, self._tls)

    async def ensure_account(self, clinic: str) -> None:
        """Returns if the file has the clinic's account.

        Raises:
            BusUnavailableError: it does not, or it cannot be read; names the file and the account. It is read again
                with the next call: whoever runs the server may add the account at any time.
        """
        account = subjects.account(clinic)
        try:
            if account not in self._accounts.accounts:
                self._accounts = self._load()
            self.login(account)
        except (NotFoundError, InvalidInputError, OSError) as error:
            raise BusUnavailableError(f"NATS account {account}: {error}") from error

    async def remove_account(self, clinic: str) -> None:
        """Does nothing: the server's accounts are not ours to remove."""

    def _load(self) -> Accounts:
        found = credentials.load(self._file)
        if found is None:
            raise InvalidInputError("nats.accounts", f"a file of NATS accounts; {self._file} does not exist")
        return found
