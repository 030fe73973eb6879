"""What can be set, as the types of ``config.sections`` say, for the documents that list it."""

import ast
import inspect
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec import inspect as shapes

from config.sections import SECRETS, Settings

_FOUND_OUT: Final = frozenset({"runtime_in_memory"})
"""Not set by anybody."""
_UNITS: Final = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """``key``: as ``section.name``. ``default``: None if there is none. ``values``: what it may be, for people."""

    key: str
    meaning: str
    values: str
    default: Any
    secret: bool

    @property
    def name(self) -> str:
        return self.key.rpartition(".")[2]

    @property
    def variable(self) -> str:
        """Which sets it in the environment."""
        return f"PLANTAO_{self.key.replace('.', '__').upper()}"

    @property
    def written(self) -> str | None:
        """Its default as it is written in the environment; None if there is none."""
        if self.default is None:
            return None
        return self.default if isinstance(self.default, str) else json.dumps(self.default, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """``name`` is empty for what belongs to no section. ``meaning``: paragraphs."""

    name: str
    meaning: Sequence[str]
    settings: Sequence[Setting]


def sections() -> list[Section]:
    """All of them, in the order in which they are declared."""
    inner = [field for field in msgspec.structs.fields(Settings) if _is_section(field.type)]
    return [
        Section(name="", meaning=(), settings=list(_settings("", Settings))),
        *(
            Section(name=field.name, meaning=_paragraphs(field.type), settings=list(_settings(field.name, field.type)))
            for field in inner
        ),
    ]


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _settings(section: str, kind: type[Struct]) -> Iterator[Setting]:
    said = sentences(kind)
    for field in msgspec.structs.fields(kind):
        if _is_section(field.type) or field.name in _FOUND_OUT:
            continue
        key = f"{section}.{field.name}" if section else field.name
        yield Setting(
            key=key,
            meaning=said.get(field.name, ""),
            values=_of_type(field.type, field.name),
            default=_default(field),
            secret=key in SECRETS,
        )


def sentences(kind: type) -> dict[str, str]:
    """The sentences below the fields of a class, each on one line."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef))
    return {
        field.target.id: " ".join(below.value.value.split())
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


def _paragraphs(kind: type) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in inspect.cleandoc(kind.__doc__ or "").split("\n\n")]


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        made = field.default_factory()
        # The interpreter that runs the node, wherever it is.
        return ["python3" if each == sys.executable else each for each in made] if isinstance(made, list) else made
    return None if field.default is msgspec.NODEFAULT else msgspec.to_builtins(field.default)


def _of_type(kind: Any, name: str) -> str:
    # msgspec has these in another order, which says nothing.
    if get_origin(kind) is Literal:
        return _either(get_args(kind))
    return _values(shapes.type_info(kind), name)


def _either(values: Sequence[str]) -> str:
    *others, last = (f"`{value}`" for value in values)
    return f"{', '.join(others)} or {last}"


def _values(shape: shapes.Type, name: str) -> str:
    """What may be set, such as ``number of seconds, 0 to 86400``."""
    match shape:
        case shapes.Metadata(type=inner, extra_json_schema=schema, extra=extra):
            if schema and "description" in schema:
                return str(schema["description"])
            return _number(inner, name, (extra or {}).get("unit"))
        case shapes.UnionType(types=types):
            return " or ".join(_values(each, name) for each in types if not isinstance(each, shapes.NoneType))
        case shapes.ListType(item_type=item, max_length=most):
            return f"list of {_values(item, name)}" + ("" if most is None else f", at most {most}")
        case shapes.DictType(key_type=key, value_type=value):
            return f"table of {_values(key, name)} to {_values(value, name)}"
        case shapes.EnumType(cls=kind):
            return _either([str(member.value) for member in kind])
        case shapes.BoolType():
            return "`true` or `false`"
        case shapes.CustomType():
            return "path"
        case shapes.StrType(max_length=most):
            return "text" if most is None else f"text, at most {most} characters"
        case _:
            return _number(shape, name, None)


def _number(shape: shapes.Type, name: str, unit: str | None) -> str:
    if not isinstance(shape, shapes.IntType | shapes.FloatType):
        raise TypeError(f"no words for {shape}")
    of = f" of {unit}" if unit else " of bytes" if name.endswith("bytes") else ""
    words = ("whole number" if isinstance(shape, shapes.IntType) and not of else "number") + of
    least = None if shape.ge is None else size(shape.ge, name)
    above = None if shape.gt is None else f"more than {size(shape.gt, name)}"
    most = None if shape.le is None else size(shape.le, name)
    match least, above, most:
        case str(), None, str():
            return f"{words}, {least} to {most}"
        case str(), None, None:
            return f"{words}, {least} or more"
        case None, str(), str():
            return f"{words}, {above}, at most {most}"
        case _:
            return words


def size(value: float, name: str) -> str:
    """A number, in larger units if ``name`` says that it counts bytes."""
    if name.endswith("bytes"):
        for unit, suffix in _UNITS:
            if value >= unit and value % unit == 0:
                return f"{int(value) // unit} {suffix}"
    return f"{value:g}" if value < 1_000_000 else f"{value:.0f}"
