"""``plantao key nats …``"""

from datetime import datetime
from typing import Annotated, Any

import typer

from config.cli.asking import Asking, YesOption, command, confirm
from config.cli.completing import clinics
from config.cli.output import local_time
from config.cli.times import FORMS, read_time
from gateway.nats.accounts import Kind

group = typer.Typer(
    help="NATS logins of services: for one clinic, or, without CLINIC, for those that serve all.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ClinicArgument = Annotated[
    str | None,
    typer.Argument(metavar="[CLINIC]", help="Clinic that it is for; not given: all of them.", autocompletion=clinics),
]
NameOption = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the login in its account.")]


@command(group, "issue")
def issue(
    asking: Asking,
    name: NameOption,
    clinic: ClinicArgument = None,
    kind: Annotated[
        Kind, typer.Option("--kind", help="sender sends, listener follows events, service does both and operates.")
    ] = Kind.SERVICE,
    expires: Annotated[str | None, typer.Option("--expires", metavar="TIME", help=f"Good until then: {FORMS}.")] = None,
) -> None:
    """Make a login and show it, this once."""
    until = None if expires is None else read_time("--expires", expires, datetime.now().astimezone())
    body = {"name": name, "kind": kind.value, "expires_at": until}
    made = asking.node.post(*_path(clinic), body={field: value for field, value in body.items() if value is not None})
    _show(asking, made)


@command(group, "list")
def list_(asking: Asking, clinic: ClinicArgument = None) -> None:
    """List an account's logins, without their passwords."""
    found = asking.node.whole_list(*_path(clinic))
    rows = [
        (
            login["name"],
            login["kind"],
            login["user"],
            login["inbox_prefix"],
            local_time(login["created_at"]),
            "expired" if login["expired"] else local_time(login["expires_at"]),
        )
        for login in found["items"]
    ]
    asking.out.table(("NAME", "KIND", "USER", "INBOX PREFIX", "CREATED", "EXPIRES"), rows, found)


@command(group, "rotate")
def rotate(asking: Asking, name: NameOption, clinic: ClinicArgument = None, yes: YesOption = False) -> None:
    """Give a login a new password, and cut who is connected by the old one. To change it without an interruption,
    issue a second login, move the service there, and revoke the first."""
    confirm(f"Make the password of {name} of {_of(clinic)} good for nothing?", yes)
    _show(asking, asking.node.post(*_path(clinic), name, "rotate"))


@command(group, "revoke")
def revoke(asking: Asking, name: NameOption, clinic: ClinicArgument = None, yes: YesOption = False) -> None:
    """End a login for good, and cut who is connected by it."""
    confirm(f"Revoke login {name} of {_of(clinic)}?", yes)
    asking.node.delete(*_path(clinic), name)
    asking.out.say(f"Login {name} of {_of(clinic)} is revoked.", {"revoked": name})


def _path(clinic: str | None) -> tuple[str, ...]:
    return ("nats",) if clinic is None else ("clinics", clinic, "nats")


def _of(clinic: str | None) -> str:
    return "all clinics" if clinic is None else f"clinic {clinic}"


def _show(asking: Asking, made: dict[str, Any]) -> None:
    prefix = made["inbox_prefix"]
    asking.out.say(
        f"{made['url']}\nThis is the NATS_URL of login {made['name']}; it is not shown again.\n"
        f"Its replies go to {prefix}: nats --inbox-prefix={prefix}, nats.connect(url, inbox_prefix=b'{prefix}').",
        made,
    )
