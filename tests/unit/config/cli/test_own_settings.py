from typing import Any

import pytest

from config.cli.own_settings import change, lines
from protocol.errors import InvalidInputError

OWN: dict[str, Any] = {"pacing": {"per_minute": 5, "quiet": "22:00"}, "note": "x"}


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        (["pacing.per_minute=10"], {"pacing": {"per_minute": 10, "quiet": "22:00"}, "note": "x"}),
        (["pacing.per_minute=", "note=y"], {"pacing": {"quiet": "22:00"}, "note": "y"}),
        (["pacing.per_minute=", "pacing.quiet="], {"note": "x"}),
        (["pacing="], {"note": "x"}),
        (["new.deep.one=true"], {**OWN, "new": {"deep": {"one": True}}}),
        (["new.deep.one="], OWN),
        (['words=["a", 1.5]', "text=a=b"], {**OWN, "words": ["a", 1.5], "text": "a=b"}),
    ],
)
def test_settings_are_put_in_and_taken_out(settings: list[str], changed: dict[str, Any]) -> None:
    before = {"pacing": dict(OWN["pacing"]), "note": "x"}
    assert change(before, settings) == changed
    assert before == OWN


@pytest.mark.parametrize("setting", ["", "note", "=x", "a..b=1", ".a=1", "note.deep=1"])
def test_what_is_no_setting_is_refused(setting: str) -> None:
    with pytest.raises(InvalidInputError):
        change(OWN, [setting])


def test_settings_are_shown_by_their_full_names_as_they_would_be_typed() -> None:
    shown = lines({"pacing": {"enabled": False, "words": ["é"]}, "note": "x"})
    assert shown == {"pacing.enabled": "false", "pacing.words": '["é"]', "note": "x"}
