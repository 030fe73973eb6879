"""A trace that is wrong is found to be wrong, whatever is wrong with it."""

import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from tests.otp.replay import QUIRK, play, scenarios
from tests.otp.verdict import decided, differences
from tests.otp.wording import Json

SAMPLE = Path(__file__).parents[3] / "tests/otp/sample.jsonl"
SCENARIO: Json = {"children": [], "steps": []}


def step(*events: Json, number: int = 0, **snapshot: Any) -> Json:
    return {"step": number, "op": "exit", "events": list(events), "alive": True, **snapshot}


def ev(name: str, child: str, **fields: Any) -> Json:
    return {"ev": name, "child": child, "incarnation": 1, **fields}


def group(*events: Json) -> Json:
    return {"ev": "unordered", "events": list(events)}


A, B, C = ev("terminate", "a", how="crash"), ev("terminate", "b", how="shutdown"), ev("start", "c")


def found(wanted: Json, seen: Json, scenario: Json = SCENARIO) -> list[str]:
    return differences(scenario, [wanted], [seen])


def test_the_same_is_no_difference() -> None:
    assert found(step(A, B, C), step(A, B, C)) == []


@pytest.mark.parametrize(
    "seen",
    [
        step(),
        step(A, B),
        step(A, B, C, C),
        step(A, C, B),
        step(B, A, C),
        step(A, B, {**C, "incarnation": 2}),
        step(A, B, {**C, "child": "d"}),
        step({**A, "how": "killed"}, B, C),
        step(A, B, {**C, "args": [1]}),
    ],
    ids=["nothing", "one less", "one more", "order", "order", "incarnation", "child", "how", "args"],
)
def test_another_event_another_order_or_another_number_of_them_is_one(seen: Json) -> None:
    (line,) = found(step(A, B, C), seen)
    assert line.startswith("step 0: expected ")
    assert " got " in line


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("alive", False),
        ("children", [["a", "undefined", "worker"]]),
        ("counts", {"specs": 1, "active": 0, "supervisors": 0, "workers": 1}),
        ("nested", {"n": {"children": [], "counts": {}}}),
    ],
)
def test_another_snapshot_is_one(key: str, value: object) -> None:
    right: Json = {"children": [["a", "a#1", "worker"]], "counts": {"specs": 1, "active": 1}}
    (line,) = found(step(A, **right), step(A, **{**right, key: value}))
    assert line.startswith(f"step 0: expected {key} ")


def test_a_snapshot_that_is_missing_is_one() -> None:
    (line,) = found(step(A, children=[]), step(A))
    assert line == "step 0: expected children [] got null"


def test_another_number_of_steps_is_one() -> None:
    assert differences(SCENARIO, [step(A)], []) == ["expected 1 steps got 0"]


def test_every_step_that_differs_has_its_line() -> None:
    wanted = [step(A, number=-1), step(B, number=0), step(C, number=1)]
    lines = differences(SCENARIO, wanted, [step(B, number=-1), step(B, number=0), step(A, number=1)])
    assert [line.split(":")[0] for line in lines] == ["step -1", "step 1"]


# -- groups without order --


@pytest.mark.parametrize("order", [(A, B), (B, A)], ids=["as it is", "turned round"])
def test_a_group_may_come_in_any_order(order: tuple[Json, ...]) -> None:
    assert found(step(group(A, B), C), step(*order, C)) == []


@pytest.mark.parametrize(
    "seen",
    [step(A, A, C), step(A, C), step(A, C, B), step(C, A, B), step(A, B), step(A, B, B, C)],
    ids=["one twice", "one missing", "later", "sooner", "end missing", "one too many"],
)
def test_but_it_has_to_be_that_group_in_that_place(seen: Json) -> None:
    assert len(found(step(group(A, B), C), seen)) == 1


def test_what_comes_after_a_group_is_compared_too() -> None:
    assert found(step(group(A), B), step(A, C)) != []


# -- what is not compared --


def test_otps_note_of_the_cause_is_not_compared() -> None:
    assert found(step({**A, "cause": "max_intensity"}), step(A)) == []


def test_whether_one_without_any_time_has_seen_the_signal_is_not_compared_and_its_end_is() -> None:
    signal, end = ev("signal", "a", reason="shutdown"), ev("terminate", "a", how="killed")
    hasty: Json = {"children": [{"id": "n", "children": [{"id": "a", "shutdown": 0}]}], "steps": []}
    assert found(step(signal, end), step(end), hasty) == []
    assert found(step(group(signal, end)), step(end), hasty) == []
    assert found(step(signal, end), step(signal), hasty) != []
    assert found(step(signal, end), step(end)) != [], "one that has time"


# -- real traces --


def entries() -> list[Json]:
    return [entry for entry in scenarios(SAMPLE) if QUIRK not in entry["scenario"]["tags"]]


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry["scenario"]["id"])
def test_a_real_trace_equals_itself(entry: Json) -> None:
    steps = entry["trace"]["steps"]
    flat = [{**step, "events": [e for x in step["events"] for e in x.get("events", [x])]} for step in steps]
    assert differences(entry["scenario"], steps, flat) == []


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_real_trace_with_anything_changed_differs(data: st.DataObject) -> None:
    entry = data.draw(st.sampled_from(entries()))
    steps = json.loads(json.dumps(entry["trace"]["steps"]))
    seen: list[Json] = [{**s, "events": [e for x in s["events"] for e in x.get("events", [x])]} for s in steps]
    changed = data.draw(st.sampled_from([step for step in seen if step["events"]]))
    events = changed["events"]
    place = data.draw(st.integers(0, len(events) - 1))
    match data.draw(st.sampled_from(["lost", "doubled", "changed", "alive", "children", "counts"])):
        case "lost":
            del events[place]
        case "doubled":
            events.insert(place, events[place])
        case "changed":
            events[place] = {**events[place], "ev": "something else"}
        case "alive":
            changed["alive"] = not changed["alive"]
        case key:
            changed[key] = {"something": "else"}
    assert differences({**entry["scenario"], "children": [], "steps": []}, steps, seen)


def test_a_scenario_that_is_changed_is_played_differently() -> None:
    entry = next(entry for entry in entries() if entry["scenario"]["profile"] == "basic")
    assert differences(entry["scenario"], entry["trace"]["steps"], play(entry["scenario"])) == []
    other = json.loads(json.dumps(entry["scenario"]))
    other["children"].append({"id": "one more"})
    assert differences(other, entry["trace"]["steps"], play(other))


# -- decided otherwise --


def test_what_is_decided_changes_no_trace_but_those_with_ghosts() -> None:
    for entry in entries():
        assert decided(entry["trace"]["steps"]) == entry["trace"]["steps"]


def test_a_ghost_is_taken_out_of_the_snapshot_and_the_counts() -> None:
    ghost = step(
        A,
        children=[[None, "t#1", "worker"], [None, "undefined", "worker"]],
        counts={"specs": 1, "active": 2, "supervisors": 0, "workers": 2},
    )
    (without,) = decided([ghost])
    assert without["children"] == [[None, "t#1", "worker"]]
    assert without["counts"] == {"specs": 1, "active": 1, "supervisors": 0, "workers": 1}
