"""``plantao nats config``: what a NATS server that somebody else runs has to know, and a node of it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from config.cli.asking import CaOption, DataOption, JsonOption, KeyOption, UrlOption, settings_file
from config.cli.client import NodeClient
from config.cli.output import Output
from protocol.errors import PlantaoError

group = typer.Typer(help="A NATS server that somebody else runs.", no_args_is_help=True, rich_markup_mode=None)


@group.callback()
def _nats() -> None:
    """So that there is a group although it has one command."""


@group.command("config")
def config(
    accounts: Annotated[
        Path,
        typer.Option(
            "--accounts",
            metavar="FILE",
            help="The accounts: what it holds stays as it is, what is missing is added. Give it as nats.accounts_file.",
        ),
    ],
    clinic: Annotated[
        list[str] | None, typer.Option("--clinic", metavar="CLINIC", help="With an account for it; again for more.")
    ] = None,
    registered: Annotated[
        bool, typer.Option("--registered", help="With an account for every clinic of the running node.")
    ] = False,
    settings: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings, whose limits become quotas.")
    ] = None,
    data: DataOption = Path("data"),
    url: UrlOption = None,
    key_file: KeyOption = None,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the accounts as nats-server reads them: include it in its configuration, which has to switch JetStream on,
    with a cipher and a key. Passwords are in it, and in FILE, in clear. After a change have the server reload it."""
    out = Output(as_json)
    try:
        clinics = [*(clinic or ()), *(_registered(data, url, key_file, ca) if registered else ())]
        made = _made(accounts, clinics, settings)
        out.say(made.rstrip("\n"), {"config": made, "accounts": str(accounts.absolute())})
    except PlantaoError as error:
        raise typer.Exit(out.failure(error)) from error


def _registered(data: Path, url: str | None, key_file: Path | None, ca: Path | None) -> list[str]:
    return [found["id"] for found in NodeClient.find(data, url, key_file, ca).whole_list("clinics")["items"]]


def _made(path: Path, clinics: list[str], config: Path | None) -> str:
    # Imported here: whoever asks a node needs none of it.
    from config.nats_quota import nats_quota
    from config.settings import load
    from gateway.nats import credentials
    from gateway.nats.accounts import Accounts
    from gateway.nats.server_config import accounts_config
    from protocol.errors import InvalidInputError

    quota = nats_quota(load(settings_file(config), os.environ).limits)
    try:
        accounts = credentials.load(path) or Accounts.fresh()
        for clinic in clinics:
            accounts = accounts.with_clinic(clinic)
        credentials.save(path, accounts)
    except OSError as error:
        what = f"a file that can be read and written; {path}: {error.strerror or error}"
        raise InvalidInputError("--accounts", what) from error
    return accounts_config(accounts, quota)
