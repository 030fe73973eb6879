"""When a session store is sealed, as a machine with a clock: whatever happens, not too often and not too late."""

from hypothesis import given
from hypothesis import strategies as st

from actors.channel.sealing import SealingPolicy, Seals

POLICY = SealingPolicy(interval_s=300.0, new_s=2.0)
HAPPENS = st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["use", "pair", "fail", "nothing"])), max_size=60)


def test_a_new_device_is_sealed_within_seconds_and_use_within_the_interval() -> None:
    assert Seals(10.0).due_at(POLICY) is None
    assert Seals(10.0).use().due_at(POLICY) == 310.0
    assert Seals(10.0).use().pair(20.0).pair(21.0).due_at(POLICY) == 22.0
    assert Seals(10.0).use().begin(310.0).due_at(POLICY) is None
    assert Seals(10.0).use().begin(310.0).fail().due_at(POLICY) == 610.0


@given(HAPPENS)
def test_seals_are_as_seldom_as_they_may_be_and_none_is_missing(happens: list[tuple[int, str]]) -> None:
    seals, now = Seals(0.0), 0.0
    begun: list[float] = [0.0]
    unsealed_since: float | None = None
    new_since: float | None = None
    for pause, what in happens:
        then = now + pause
        due_at = seals.due_at(POLICY)
        if due_at is not None and due_at <= then:
            now = max(now, due_at)
            assert unsealed_since is not None, "there is something to seal"
            assert new_since is not None or now - begun[-1] >= POLICY.interval_s
            begun.append(now)
            seals, unsealed_since, new_since = seals.begin(now), None, None
        now = then
        match what:
            case "use":
                seals = seals.use()
            case "pair":
                seals, new_since = seals.pair(now), new_since if new_since is not None else now
            case "fail":
                seals = seals.fail()
        if what != "nothing" and unsealed_since is None:
            unsealed_since = now
        due_at = seals.due_at(POLICY)
        assert (due_at is None) == (unsealed_since is None)
        if due_at is not None:
            since = begun[-1]
            assert due_at <= (new_since + POLICY.new_s if new_since is not None else since + POLICY.interval_s)
