"""Hypothesis strategies for any msgspec type, with the limits that the type itself states."""

from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from msgspec import inspect

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=zones)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that msgspec knows."""
    return _of(inspect.type_info(kind))


def _of(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.StructType():
            return st.builds(info.cls, **{field.name: _of(field.type) for field in info.fields})
        case inspect.Metadata():
            return _of(info.type)
        case inspect.UnionType():
            return st.one_of([_of(each) for each in info.types])
        case inspect.StrType(pattern=str() as pattern):
            return st.from_regex(pattern.removesuffix(r"$(?!\n)"), fullmatch=True)
        case inspect.StrType():
            return st.text(min_size=info.min_length or 0, max_size=min(info.max_length or 30, 30))
        case inspect.BytesType():
            return st.binary(min_size=info.min_length or 0, max_size=30)
        case inspect.ListType():
            return st.lists(_of(info.item_type), max_size=4)
        case inspect.DictType():
            return st.dictionaries(_of(info.key_type), _of(info.value_type), max_size=4)
        case inspect.LiteralType():
            return st.sampled_from(list(info.values))
        case inspect.EnumType():
            return st.sampled_from(list(info.cls))
        case _:
            return _plain(info)


def _plain(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType():
            least, most = info.ge if info.ge is not None else -(2**63), info.le if info.le is not None else 2**63 - 1
            return st.integers(least, most)
        case inspect.FloatType():
            return st.floats(info.ge, info.le, allow_nan=False, allow_infinity=False)
        case inspect.DateTimeType():
            return times
        case inspect.AnyType():
            return json_values
        case _:
            raise AssertionError(f"no strategy for {info}")
