import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import subjects
from protocol.subjects import DEAD_SUBJECTS, EVENT_SUBJECTS, ClinicVerb, EventKind, Priority, Verb

names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
SEND_SUBJECTS = ("clinic.*.channel.*.send", "clinic.*.channel.*.send.*")
STREAMS = (SEND_SUBJECTS, EVENT_SUBJECTS, DEAD_SUBJECTS)


def takes(pattern: str, subject: str) -> bool:
    """Whether a NATS subscription to ``pattern`` gets ``subject``."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        return len(given) >= len(wanted) and takes(".".join(wanted[:-1]), ".".join(given[: len(wanted) - 1]))
    return len(wanted) == len(given) and all(one in ("*", other) for one, other in zip(wanted, given, strict=True))


def all_of(clinic: str, channel: str) -> list[str]:
    return [
        *(subjects.send(clinic, channel, priority) for priority in Priority),
        *(subjects.event(clinic, channel, kind) for kind in EventKind),
        subjects.dead(clinic, channel),
        *(subjects.rpc(clinic, channel, verb) for verb in Verb),
        subjects.later(clinic, channel, "r-1"),
        subjects.due(clinic, channel),
    ]


def test_the_subjects_are_those_of_the_contract() -> None:
    assert all_of("acme", "recepcao") == [
        "clinic.acme.channel.recepcao.send.high",
        "clinic.acme.channel.recepcao.send",
        "clinic.acme.channel.recepcao.send.bulk",
        "clinic.acme.channel.recepcao.event.message",
        "clinic.acme.channel.recepcao.event.receipt",
        "clinic.acme.channel.recepcao.event.result",
        "clinic.acme.channel.recepcao.event.state",
        "clinic.acme.channel.recepcao.event.qr",
        "clinic.acme.channel.recepcao.event.gap",
        "clinic.acme.channel.recepcao.dead",
        "clinic.acme.channel.recepcao.rpc.status",
        "clinic.acme.channel.recepcao.rpc.connect",
        "clinic.acme.channel.recepcao.rpc.disconnect",
        "clinic.acme.channel.recepcao.rpc.suspend",
        "clinic.acme.channel.recepcao.rpc.resume",
        "clinic.acme.channel.recepcao.rpc.logout",
        "clinic.acme.channel.recepcao.rpc.pair",
        "clinic.acme.channel.recepcao.rpc.qr",
        "clinic.acme.channel.recepcao.rpc.check",
        "clinic.acme.channel.recepcao.rpc.mark_read",
        "clinic.acme.channel.recepcao.rpc.presence",
        "clinic.acme.channel.recepcao.rpc.command",
        "clinic.acme.channel.recepcao.rpc.cancel",
        "clinic.acme.channel.recepcao.rpc.release",
        "clinic.acme.channel.recepcao.rpc.replay",
        "clinic.acme.channel.recepcao.rpc.discard",
        "clinic.acme.channel.recepcao.later.r-1",
        "clinic.acme.channel.recepcao.due",
    ]
    assert [subjects.clinic_rpc("acme", verb) for verb in ClinicVerb] == [
        "clinic.acme.rpc.channels",
        "clinic.acme.rpc.stats",
    ]


def test_a_command_without_a_priority_is_a_normal_one() -> None:
    assert subjects.send("acme", "recepcao") == subjects.send("acme", "recepcao", Priority.NORMAL)


@given(names, names)
def test_every_subject_is_one_that_nats_takes(clinic: str, channel: str) -> None:
    for subject in [*all_of(clinic, channel), subjects.account(clinic), subjects.registry_clinic(clinic)]:
        assert all(token and not set(token) & set(" \t\r\n*>") for token in subject.split("."))


@given(names, names, names, names)
def test_no_two_channels_share_a_subject(clinic: str, channel: str, other_clinic: str, other_channel: str) -> None:
    mine, others = all_of(clinic, channel), all_of(other_clinic, other_channel)
    assert len(set(mine)) == len(mine)
    assert (clinic, channel) == (other_clinic, other_channel) or not set(mine) & set(others)
    keys = {subjects.registry_clinic(clinic), subjects.registry_channel(clinic, channel)}
    keys |= {subjects.registry_clinic(other_clinic), subjects.registry_channel(other_clinic, other_channel)}
    assert len(keys) == len({clinic, other_clinic}) + len({(clinic, channel), (other_clinic, other_channel)})


@given(names, names)
def test_each_subject_lands_in_its_stream_and_in_no_other(clinic: str, channel: str) -> None:
    def streams(subject: str) -> list[tuple[str, ...]]:
        return [stream for stream in STREAMS if any(takes(pattern, subject) for pattern in stream)]

    assert all(streams(subjects.send(clinic, channel, priority)) == [SEND_SUBJECTS] for priority in Priority)
    assert all(streams(subjects.event(clinic, channel, kind)) == [EVENT_SUBJECTS] for kind in EventKind)
    assert streams(subjects.dead(clinic, channel)) == [DEAD_SUBJECTS]
    assert all(streams(subjects.rpc(clinic, channel, verb)) == [] for verb in Verb)


@pytest.mark.parametrize("clinic", ["plantao", "platform", "clinic-plantao"])
def test_no_clinics_account_is_one_of_ours(clinic: str) -> None:
    assert subjects.account(clinic) not in (subjects.ACCOUNT_NODE, subjects.ACCOUNT_PLATFORM)
