from pathlib import Path

from config.policies import channel_policy
from config.sections import Channel, Outbox, Reconnect, Settings, Vault
from supervisor.breaker import Breaker, Consecutive, FailureRate
from supervisor.window import Window


def settings(**sections: object) -> Settings:
    return Settings(data=Path("/data"), runtime=Path("/run"), runtime_in_memory=True, **sections)  # type: ignore[arg-type]


def test_channels_are_eager_and_never_idle_unless_the_settings_say_otherwise() -> None:
    default = channel_policy(settings()).life
    assert (default.lazy, default.idle_after_s) == (False, 0.0)
    changed = channel_policy(settings(channel=Channel(start="lazy", idle_after=600.0))).life
    assert (changed.lazy, changed.idle_after_s) == (True, 600.0)


def test_the_breakers_are_as_the_settings_say() -> None:
    policy = channel_policy(
        settings(
            reconnect=Reconnect(breaker_failures=3, breaker_pause_s=7.0),
            outbox=Outbox(breaker_rate=0.25, breaker_window=20.0, breaker_minimum=4, breaker_pause=8.0),
        )
    )
    assert policy.breaker == Breaker(trip=Consecutive(3), pause_s=7.0)
    assert policy.sending.breaker == Breaker(
        trip=FailureRate(threshold=0.25, minimum=4), pause_s=8.0, window=Window(span_s=20.0)
    )


def test_session_stores_are_sealed_as_often_as_the_settings_say() -> None:
    assert channel_policy(settings(vault=Vault(interval=60.0))).sealing.interval_s == 60.0
