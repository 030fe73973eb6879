"""Logins of an external server."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.nats.accounts import Accounts, Credential, Role
from gateway.nats.credentials import save
from gateway.nats.external import ExternalBroker
from gateway.nats.link import Login
from protocol.errors import BusUnavailableError, InvalidInputError, NotFoundError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An accounts file with the clinic acme."""
    path = tmp_path / "accounts.json"
    save(path, Accounts.fresh().with_clinic("acme"))
    return path


@pytest.mark.parametrize("url", ["localhost:4222", "http://host", "nats://", "nats://user:pass@host:4222"])
def test_what_is_no_server_is_refused(url: str, file: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"nats\.url"):
        ExternalBroker(url, file)


async def test_an_account_added_to_the_file_later_is_found(file: Path) -> None:
    broker = ExternalBroker("tls://nats.example:4222", file)
    with pytest.raises(BusUnavailableError, match=rf"clinic-late.*{re.escape(str(file))}"):
        await broker.ensure_account("late")
    with pytest.raises(NotFoundError, match="login plantao of the NATS account clinic-late"):
        broker.login("clinic-late")
    save(file, Accounts.fresh().with_clinic("late"))
    await broker.ensure_account("late")
    assert broker.login("clinic-late", Role.SERVICE).server == broker.server


@pytest.mark.parametrize("spoil", [Path.unlink, lambda file: file.write_text("{"), lambda file: file.chmod(0)])
async def test_a_file_that_cannot_be_read_later_is_something_to_try_again(
    file: Path, spoil: Callable[[Path], object]
) -> None:
    broker = ExternalBroker("nats://nats.example:4222", file)
    spoil(file)
    with pytest.raises(BusUnavailableError, match=rf"clinic-late.*{re.escape(str(file))}"):
        await broker.ensure_account("late")
    await broker.ensure_account("acme")


def test_a_login_shows_no_password_and_quotes_what_a_url_cannot_hold() -> None:
    login = Login("nats://127.0.0.1:4222", "a@b", "p/w")
    assert "p/w" not in repr(login)
    assert login.url == "nats://a%40b:p%2Fw@127.0.0.1:4222"
    assert Credential("u", "w").user == "u"
