"""Every stage and every cause."""

from itertools import product

import pytest

from config.ending import STAGES, Cause, Stage, after

EXPECTED = {
    (Stage.ON_DUTY, Cause.ASKED): Stage.DRAINING,
    (Stage.DRAINING, Cause.ASKED): Stage.ENDING,
    (Stage.DRAINING, Cause.DRAINED): Stage.ENDING,
    (Stage.DRAINING, Cause.TIME_OVER): Stage.ENDING,
    (Stage.ENDING, Cause.TIME_OVER): Stage.FORCED,
}


@pytest.mark.parametrize(("stage", "cause"), list(product(Stage, Cause)))
def test_a_stage_goes_on_for_these_causes_and_no_other(stage: Stage, cause: Cause) -> None:
    assert after(stage, cause) is EXPECTED.get((stage, cause), stage)


def test_there_is_no_way_back() -> None:
    order = list(Stage)

    assert all(order.index(then) > order.index(stage) for stage, ways in STAGES.items() for then in ways.values())
