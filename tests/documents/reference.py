"""``deploy/REFERENCE.md``: what there is to set and to see, by name."""

from collections.abc import Sequence
from typing import Final

from config.log import FIELDS
from config.reload import RELOADABLE
from protocol.codes import ErrorCode, Permanence
from tests.documents import commands, metrics, routes
from tests.documents.settings import Section, Setting, sections, size
from tests.documents.tables import marked, table

_HEAD: Final = """\
# Reference

Made from the code by `make docs`: change it there.
"""
_SETTINGS: Final = """\
## Settings

From `plantao run --config FILE` (`plantao.toml` in the working directory if there is one), a table for each section,
and from the environment, which overrides it: `PLANTAO_SECTION__KEY`, lists and tables as JSON. Secrets may also come
from a file, which `PLANTAO_SECTION__KEY_FILE` names. [`.env.example`](../.env.example) has them all. A change in the
file takes a restart of the node, or holds after `plantao reload` (or SIGHUP) already.
"""
_COMMANDS: Final = """\
## Commands
"""
_ROUTES: Final = """\
## Routes

With a key (`Authorization: Bearer …`, or `X-API-Key`) that is for the clinic, and has at least this role.
`/api/v1/openapi.json` says what is sent and answered.
"""
_METRICS: Final = """\
## Metrics

At `/metrics`, with a key. A histogram is read as `…_bucket`, `…_sum` and `…_count`. Those that begin with `process_`
are of the main process, by the Prometheus client.
"""
_FIELDS: Final = """\
## Fields of the log

Each line on stderr is an object with some of these; with `log.format` `console`, the same for a person. No line holds a
message's text, a whole phone number, or a key.
"""
_CODES: Final = """\
## Error codes

In results, dead letters and `plantao_commands_failed_total`.
"""
_AFTER: Final = {
    Permanence.PERMANENT: "fails at once",
    Permanence.TRANSIENT: "is tried again",
    Permanence.UNKNOWN: "`on_uncertain` decides",
    Permanence.NOT_CONNECTED: "waits for a connection",
    Permanence.RESTRICTED: "waits until it is allowed",
}


def text() -> str:
    """The whole file."""
    parts = [_HEAD, _SETTINGS, *map(_section, sections()), _COMMANDS, commands.text(), _ROUTES, routes.text()]
    return "\n".join([*parts, _METRICS, metrics.text(), _FIELDS, _fields(), _CODES, _codes()])


def _section(section: Section) -> str:
    if section.name:
        head = "".join(f"{marked(part)}\n\n" for part in section.meaning)
        return f"### `[{section.name}]`\n\n{head}" + _settings(section.settings)
    return f"### Of no section\n\n{_settings(section.settings)}"


def _settings(settings: Sequence[Setting]) -> str:
    return table(("setting", "default", "values", "what it is", "a change", "variable"), map(_row, settings))


def _row(setting: Setting) -> tuple[str, ...]:
    variable = f"`{setting.variable}`" + (" or `…_FILE`" if setting.secret else "")
    return f"`{setting.name}`", _default(setting), setting.values, marked(setting.meaning), _change(setting), variable


def _change(setting: Setting) -> str:
    return "reload" if setting.key in RELOADABLE else "restart"


def _default(setting: Setting) -> str:
    if setting.written is None:
        return {"data": "`data`", "runtime": "in `/dev/shm`"}.get(setting.key, "")
    if isinstance(setting.default, int) and setting.name.endswith("bytes"):
        return f"`{setting.written}` ({size(setting.default, setting.name)})"
    return f"`{setting.written}`" if setting.written else "empty"


def _fields() -> str:
    return table(("field", "what it is"), [(f"`{name}`", marked(meaning)) for name, meaning in FIELDS.items()])


def _codes() -> str:
    rows = [(f"`{code.value}`", code.meaning, _AFTER[code.permanence]) for code in ErrorCode]
    return table(("code", "what it means", "the command"), rows)
