from datetime import time
from pathlib import Path
from typing import Any

import pytest

from config.own import own_policy, pacing_policy
from config.policies import channel_policy
from config.sections import Pacing, Settings

POLICY = channel_policy(Settings(data=Path("/d"), runtime=Path("/r"), runtime_in_memory=True))


def test_the_default_section_is_the_default_policy() -> None:
    assert pacing_policy(Pacing()) == POLICY.sending.pacing == type(POLICY.sending.pacing)()


def test_a_channels_own_pacing_takes_the_place_of_the_nodes() -> None:
    own = {"pacing": {"per_minute": 60, "quiet_from": "22:30", "warm_up": [], "restriction": 60}}
    pacing = own_policy(POLICY, own).sending.pacing
    assert (pacing.per_minute, pacing.quiet_from, pacing.warm_up) == (60, time(22, 30), ())
    assert pacing.restriction_s == 60
    assert (pacing.per_day, pacing.enabled) == (200, True)


@pytest.mark.parametrize("own", [{}, {"note": 1}, {"pacing": None}, {"pacing": {"per_minute": "fast"}}, {"pacing": 7}])
def test_what_says_nothing_of_pacing_or_nothing_sensible_changes_nothing(own: dict[str, Any]) -> None:
    assert own_policy(POLICY, own) is POLICY


def test_it_can_be_switched_off_for_one_channel() -> None:
    assert not own_policy(POLICY, {"pacing": {"enabled": False}}).sending.pacing.enabled
