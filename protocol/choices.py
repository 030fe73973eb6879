"""Which values a field of a body may have, so that an error can name them: found by the path that msgspec says."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from msgspec import inspect

_STEP: Final = re.compile(r"\[[^\]]*\]|[^.\[]+")


def choices(kind: Any, path: str) -> tuple[str, ...]:
    """Of the field at ``path`` (such as ``to[0].type``; empty: the whole) in a ``kind``; none if it is no enumeration,
    or nothing is known of it."""
    found: Iterable[inspect.Type] = [_shape(kind)]
    for step in _STEP.findall(path):
        found = [below for each in found for one in _alternatives(each) for below in _below(one, step)]
    values = [value for each in found for one in _alternatives(each) for value in _values(one)]
    return tuple(dict.fromkeys(values))


@lru_cache(maxsize=64)
def _shape(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _alternatives(shape: inspect.Type) -> Iterator[inspect.Type]:
    match shape:
        case inspect.UnionType(types=types):
            for one in types:
                yield from _alternatives(one)
        case inspect.Metadata(type=one):
            yield from _alternatives(one)
        case _:
            yield shape


def _below(shape: inspect.Type, step: str) -> Iterator[inspect.Type]:
    match shape:
        case inspect.StructType(fields=fields):
            yield from (field.type for field in fields if field.encode_name == step)
        case inspect.DictType(value_type=value):
            yield value
        case inspect.ListType(item_type=item) | inspect.SetType(item_type=item) | inspect.FrozenSetType(item_type=item):
            yield item
        case inspect.VarTupleType(item_type=item):
            yield item


def _values(shape: inspect.Type) -> Iterator[str]:
    match shape:
        case inspect.EnumType(cls=cls):
            yield from (str(one.value) for one in cls)
        case inspect.LiteralType(values=values):
            yield from (str(value) for value in values)
