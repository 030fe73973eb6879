from hypothesis import given
from hypothesis import strategies as st

from supervisor.heartbeat import Heartbeat, Pulse

LIMITS = Heartbeat(every=5.0, silence=20.0)


def beats(*heard: bool) -> Pulse:
    """A pulse that began at 0 and beat on time."""
    pulse = Pulse(limits=LIMITS, due=0.0)
    for word in heard:
        pulse = pulse.beat(pulse.due, heard=word)
    return pulse


def test_it_is_lost_once_it_was_silent_for_as_long_as_it_may_be() -> None:
    assert not beats(True, False, False, False).is_lost
    assert beats(True, False, False, False, False).is_lost
    assert beats(True, False, False, False, False).silent == 20.0


def test_a_word_begins_the_count_anew() -> None:
    assert beats(False, False, False, True).missed == 0


def test_a_beat_that_comes_late_is_not_counted() -> None:
    pulse = beats(False, False, False)
    late = pulse.beat(pulse.due + 3600.0, heard=False)
    assert not late.is_lost
    assert late.beat(late.due, heard=False).is_lost


def test_a_beat_that_comes_a_little_late_is_counted() -> None:
    pulse = beats(False, False, False)
    assert pulse.beat(pulse.due + 5.0, heard=False).is_lost


limits = st.builds(
    lambda every, beats: Heartbeat(every=every, silence=every * beats), st.floats(0.01, 60.0), st.floats(0.1, 200.0)
)
delays = st.lists(st.floats(0.0, 1000.0), max_size=50)


@given(limits, delays)
def test_who_answers_before_every_second_beat_is_never_lost(limits: Heartbeat, delays: list[float]) -> None:
    limits = Heartbeat(every=limits.every, silence=max(limits.silence, limits.every * 2))
    pulse = Pulse(limits=limits, due=0.0)
    for number, delay in enumerate(delays):
        pulse = pulse.beat(pulse.due + delay, heard=number % 2 == 0)
        assert not pulse.is_lost


@given(limits, st.lists(st.floats(0.0, 0.99), min_size=1, max_size=20))
def test_who_is_silent_is_lost_within_the_silence_and_one_beat(limits: Heartbeat, parts: list[float]) -> None:
    """However late the beats come, as long as each comes before the next one is due."""
    pulse, listened = Pulse(limits=limits, due=limits.every), 0.0
    for number in range(202):
        if pulse.is_lost:
            break
        pulse = pulse.beat(pulse.due + parts[number % len(parts)] * limits.every, heard=False)
        listened += limits.every
    assert pulse.is_lost
    assert limits.silence - 1e-6 <= listened < limits.silence + limits.every + 1e-6
