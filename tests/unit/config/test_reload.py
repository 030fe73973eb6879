"""Settings read again: what can change, what cannot, and that it is all or nothing."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from config.reload import RELOADABLE, Reload, compare, merge
from config.sections import SECRETS, Settings
from config.settings import SettingsError, load
from protocol.errors import InvalidInputError


def settings(**environ: str) -> Settings:
    """By these variables, without the prefix."""
    return load(None, {f"PLANTAO_{name}": value for name, value in environ.items()})


def test_every_setting_that_can_change_exists_and_is_no_secret() -> None:
    known = {
        f"{section.name}.{key.name}"
        for section in msgspec.structs.fields(Settings)
        if isinstance(section.type, type) and issubclass(section.type, msgspec.Struct)
        for key in msgspec.structs.fields(section.type)
    }

    assert known >= RELOADABLE
    assert not RELOADABLE & SECRETS


def test_what_differs_is_named_by_what_can_be_done_about_it() -> None:
    read = settings(PACING__PER_MINUTE="3", LOG__LEVEL="debug", NATS__PORT="-1", DATA="/elsewhere", RUNTIME="/there")

    came = compare(settings(RUNTIME="/there"), read)

    assert came.changed == ["log.level", "pacing.per_minute"]
    assert came.restart == ["data", "nats.port"]


def test_what_is_found_out_is_no_setting() -> None:
    came = compare(settings(RUNTIME="/dev/shm/x"), settings(RUNTIME="/elsewhere"))

    assert (came.changed, came.restart) == ([], ["runtime"])


@pytest.mark.parametrize(("before", "after"), [("", "b"), ("a", ""), ("a", "b")])
def test_a_certificate_can_be_another_but_tls_is_switched_by_a_restart_alone(before: str, after: str) -> None:
    def with_certificate(name: str) -> Settings:
        return settings(HTTP__CERTIFICATE=f"{name}.pem", HTTP__KEY=f"{name}.key") if name else settings()

    came = compare(with_certificate(before), with_certificate(after))

    keys = ["http.certificate", "http.key"]
    assert (came.changed, came.restart) == ((keys, []) if before and after else ([], keys))


def test_only_what_has_changed_is_taken_over() -> None:
    now, read = settings(), settings(PACING__PER_MINUTE="3", PACING__BURST="9", NATS__PORT="-1")

    merged = merge(now, read, ["pacing.per_minute"])

    assert (merged.pacing.per_minute, merged.pacing.burst, merged.nats.port) == (3.0, now.pacing.burst, now.nats.port)


class Going:
    """Goes by the settings, or finds them ``wrong``."""

    def __init__(self, *, wrong: bool = False) -> None:
        self.wrong = wrong
        self.by: list[float] = []

    def take(self, settings: Settings) -> Callable[[], None]:
        if self.wrong:
            raise InvalidInputError("http.certificate", "a certificate")
        return lambda: self.by.append(settings.pacing.per_minute)


async def test_all_who_go_by_them_are_told_and_what_takes_a_restart_is_named_again_and_again() -> None:
    read = settings(PACING__PER_MINUTE="3", NATS__PORT="-1")
    reload, first, second = Reload(settings(), lambda: read), Going(), Going()
    reload.join(first.take)
    reload.join(second.take)

    came = [await reload.reload(), await reload.reload()]

    assert (first.by, second.by) == ([3.0, 3.0], [3.0, 3.0])
    assert [each.changed for each in came] == [["pacing.per_minute"], []]
    assert [each.restart for each in came] == [["nats.port"], ["nats.port"]]
    assert (reload.settings.pacing.per_minute, reload.settings.nats.port) == (3.0, 4222)


def test_if_one_finds_them_wrong_nobody_goes_by_them() -> None:
    reload, right, wrong = Reload(settings(), lambda: settings(PACING__PER_MINUTE="3")), Going(), Going(wrong=True)
    reload.join(right.take, wrong.take)

    with pytest.raises(InvalidInputError):
        reload.now()

    assert (right.by, reload.settings.pacing.per_minute) == ([], settings().pacing.per_minute)


def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "plantao.toml"
    config.write_text("[pacing]\nper_minute = 3\n")
    reload, going = Reload(load(config, {}), lambda: load(config, {})), Going()
    reload.join(going.take)
    config.write_text("[pacing]\nper_minute = 0\n")

    with pytest.raises(SettingsError, match=r"plantao\.toml: pacing\.per_minute"):
        reload.now()

    assert (going.by, reload.settings.pacing.per_minute) == ([], 3.0)
