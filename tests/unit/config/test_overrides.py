from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct

from config.overrides import MOST_BYTES, check
from config.own import ChannelConfig
from protocol.errors import InvalidInputError


class Pace(Struct, frozen=True, kw_only=True):
    per_minute: Annotated[float, Meta(gt=0)] | None = None
    words: list[str] = msgspec.field(default_factory=list)


class Config(Struct, frozen=True, kw_only=True):
    pace: Pace | None = None
    note: str = ""


@pytest.mark.parametrize("config", [{}, {"note": "x"}, {"pace": {}}, {"pace": {"per_minute": 3, "words": ["SAIR"]}}])
def test_known_settings_are_taken(config: dict[str, Any]) -> None:
    check(config, Config)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"pase": {}}, "config.pase"),
        ({"pace": {"per_minut": 3}}, "config.pace.per_minut"),
        ({"pace": {"per_minute": 0}}, "config.pace.per_minute"),
        ({"pace": {"per_minute": "3"}}, "config.pace.per_minute"),
        ({"pace": 3}, "config.pace"),
        ({"pace": {"words": ["a", 1]}}, "config.pace.words[1]"),
        ({"note": "x" * MOST_BYTES}, "config"),
        ({"note": object()}, "config"),
        ({"note": float("nan")}, "config.note"),
    ],
)
def test_what_is_none_is_refused_by_name(config: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check(config, Config)
    assert caught.value.field == field


def test_a_channel_begins_without_settings_of_its_own() -> None:
    check({}, ChannelConfig)
