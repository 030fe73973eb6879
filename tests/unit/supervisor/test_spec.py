from typing import Any

import pytest

from supervisor.spec import (
    ABANDON,
    INFINITY,
    AutoShutdown,
    ChildSpec,
    Flags,
    Restart,
    SpecError,
    Stagger,
    Strategy,
    check_child_spec,
    check_flags,
    check_start_specs,
)
from tests.unit.supervisor.driver import spec

NEVER, ANY = AutoShutdown.NEVER, AutoShutdown.ANY_SIGNIFICANT


def broken(**fields: Any) -> ChildSpec:
    """A spec with what no type checker would let pass."""
    return ChildSpec(**{"id": "a", "start": print, **fields})


BAD_SPECS: list[tuple[str, object, AutoShutdown]] = [
    ("invalid_child_spec", "a string", NEVER),
    ("invalid_child_spec", None, NEVER),
    ("missing_id", broken(id=None), NEVER),
    ("missing_start", broken(start=None), NEVER),
    ("invalid_mfa", broken(start="print"), NEVER),
    ("invalid_restart_type", broken(restart="sometimes"), NEVER),
    ("invalid_restart_type", broken(restart="permanent"), NEVER),
    ("bad_combination", broken(restart=Restart.TRANSIENT, significant=True), NEVER),
    ("bad_combination", broken(restart=Restart.PERMANENT, significant=True), ANY),
    ("invalid_significant", broken(significant="yes"), ANY),
    ("invalid_child_type", broken(type="robot"), NEVER),
    ("invalid_shutdown", broken(shutdown=-1), NEVER),
    ("invalid_shutdown", broken(shutdown="soon"), NEVER),
    ("invalid_shutdown", broken(shutdown=True), NEVER),
]


@pytest.mark.parametrize(("code", "given", "mode"), BAD_SPECS)
def test_every_spec_that_cannot_be_gets_otps_word_for_it(code: str, given: object, mode: AutoShutdown) -> None:
    with pytest.raises(SpecError, match=code) as raised:
        check_child_spec(given, mode)
    assert raised.value.code == code


def test_the_first_thing_that_is_wrong_is_what_is_reported() -> None:
    everything: dict[str, Any] = {
        "id": None,
        "start": None,
        "restart": "sometimes",
        "significant": "yes",
        "type": "robot",
        "shutdown": -1,
    }
    repairs: dict[str, Any] = {"id": "a", "start": print, "restart": Restart.TRANSIENT, "significant": False}
    codes = []
    for name in (*repairs, "type"):
        with pytest.raises(SpecError) as raised:
            check_child_spec(ChildSpec(**everything), ANY)
        codes.append(raised.value.code)
        everything[name] = repairs.get(name, spec("a").type)
    with pytest.raises(SpecError) as raised:
        check_child_spec(ChildSpec(**everything), ANY)
    assert [*codes, raised.value.code] == [
        "missing_id",
        "missing_start",
        "invalid_restart_type",
        "invalid_significant",
        "invalid_child_type",
        "invalid_shutdown",
    ]


@pytest.mark.parametrize("shutdown", [None, 0, 5, 0.5, INFINITY, ABANDON], ids=str)
def test_a_good_spec_is_given_back(shutdown: Any) -> None:
    good = spec("a", shutdown=shutdown)
    assert check_child_spec(good, NEVER) is good


@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.TEMPORARY])
def test_a_child_that_is_restarted_not_always_may_matter_for_auto_shutdown(restart: Restart) -> None:
    good = spec("a", restart=restart, significant=True)
    assert check_child_spec(good, ANY) is good


BAD_FLAGS: list[tuple[str, dict[str, Any]]] = [
    ("invalid_strategy", {"strategy": "one_for_one"}),
    ("invalid_intensity", {"intensity": -1}),
    ("invalid_intensity", {"intensity": "many"}),
    ("invalid_intensity", {"intensity": True}),
    ("invalid_period", {"period_s": 0}),
    ("invalid_period", {"period_s": -1}),
    ("invalid_period", {"period_s": None}),
    ("invalid_auto_shutdown", {"auto_shutdown": "never"}),
    *(
        ("invalid_extension", {"independent": True, "strategy": strategy})
        for strategy in Strategy
        if strategy is not Strategy.ONE_FOR_ONE
    ),
    ("invalid_extension", {"stagger": Stagger(at_once=1)}),
]


@pytest.mark.parametrize(("code", "fields"), BAD_FLAGS)
def test_every_flag_that_cannot_be_gets_otps_word_for_it(code: str, fields: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=code) as raised:
        check_flags(Flags(**fields))
    assert raised.value.code == code


@pytest.mark.parametrize(
    "fields", [{}, {"intensity": 0}, {"independent": True, "stagger": Stagger(at_once=2, jitter_s=0.1)}], ids=str
)
def test_good_flags_pass(fields: dict[str, Any]) -> None:
    check_flags(Flags(**fields))


@pytest.mark.parametrize("at_once", [0, -1])
def test_a_stagger_that_would_never_start_anybody_cannot_be(at_once: int) -> None:
    with pytest.raises(SpecError, match="invalid_extension"):
        check_flags(Flags(independent=True, stagger=Stagger(at_once=at_once)))


@pytest.mark.parametrize("hang_s", [0, -1.0, float("nan"), "soon"])
def test_a_time_to_hang_that_is_none_cannot_be(hang_s: Any) -> None:
    with pytest.raises(SpecError, match="invalid_extension"):
        check_child_spec(spec("a", hang_s=hang_s), AutoShutdown.NEVER)


@pytest.mark.parametrize("many", [0, 2])
def test_a_dynamic_supervisor_has_exactly_one_template(many: int) -> None:
    with pytest.raises(SpecError, match="bad_start_spec"):
        check_start_specs([spec(str(number)) for number in range(many)], Flags(strategy=Strategy.DYNAMIC))


def test_two_children_of_one_id_cannot_be() -> None:
    with pytest.raises(SpecError, match="duplicate_child_name: 'a'") as raised:
        check_start_specs([spec("a"), spec("b"), spec("a")], Flags())
    assert raised.value.value == "a"


def test_good_specs_are_given_back_in_their_order() -> None:
    specs = [spec("b"), spec("a")]
    assert check_start_specs(specs, Flags()) == specs
