"""``plantao doctor``"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from config.cli.asking import JsonOption, OwnDataOption, SettingsOption, settings_file
from config.cli.output import FAILED, Output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.doctor.finding import Finding

_STYLES: Final = {"fine": "green", "unknown": "dim", "warning": "yellow", "wrong": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("doctor")(doctor)


def doctor(
    config: SettingsOption = None,
    data: OwnDataOption = None,
    trouble: Annotated[bool, typer.Option("--trouble", help="Only what is not fine.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with a configuration, this machine, and the node if one runs, each with the mend.

    Exit code 1 if something is wrong; warnings alone leave it 0. Changes nothing.
    """
    # Imported here: it needs much of what a node does.
    from config.doctor.examining import examine, well
    from config.settings import environment

    found = list(examine(settings_file(config), environment(data)))
    shown = [finding for finding in found if not (trouble and finding.level == "fine")]
    _show(Output(as_json), shown, well=well(found))
    if not well(found):
        raise typer.Exit(FAILED)


def _show(out: Output, found: "list[Finding]", *, well: bool) -> None:
    value = {"well": well, "findings": [asdict(finding) for finding in found]}
    lines = [line for finding in found for line in _lines(finding)]
    rows, styles = [row for row, _ in lines], [style for _, style in lines]
    out.table(("", "WHAT", "HOW IT IS"), rows, value, styles)
    if not out.as_json:
        counts = {level: sum(finding.level == level for finding in found) for level in ("wrong", "warning")}
        typer.echo(f"{counts['wrong']} wrong, {counts['warning']} to be looked at.")


def _lines(finding: "Finding") -> "Iterator[tuple[tuple[str, str, str], str]]":
    """Its row with the style of that, and the mend below."""
    yield (finding.level, finding.check, finding.told), _STYLES[finding.level]
    if finding.mend:
        yield ("", "", f"→ {finding.mend}"), ""
