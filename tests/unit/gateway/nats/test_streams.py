"""What the streams of each account are."""

import pytest
from nats.js.api import DiscardPolicy, RetentionPolicy, StoreCompression

from gateway.nats.streams import DAY, MAX_SEND, Retention, clinic_streams, node_streams, platform_streams, send_stream
from protocol.codec import MAX_BODY
from protocol.errors import InvalidIdError
from protocol.ids import check_name


def test_a_clinics_streams_fit_into_its_quota() -> None:
    retention = Retention()
    sizes = [config.max_bytes or 0 for config in clinic_streams("acme", retention)]
    assert all(size > 0 for size in sizes)
    assert sum(sizes) < retention.clinic_bytes


def test_nothing_is_compressed_before_it_is_encrypted() -> None:
    streams = [*clinic_streams("acme", Retention()), *platform_streams(Retention()), *node_streams()]
    assert {stream.compression for stream in streams} <= {None, StoreCompression.NONE}


def test_the_work_queue_takes_nothing_that_a_publisher_could_abuse() -> None:
    send = send_stream("acme", Retention(), ["front"])
    assert (send.retention, send.discard) == (RetentionPolicy.WORK_QUEUE, DiscardPolicy.NEW)
    assert [send.allow_rollup_hdrs, send.allow_msg_ttl, send.allow_msg_schedules] == [False] * 3
    assert (send.max_msg_size or 0) == MAX_SEND > MAX_BODY


def test_the_work_queue_takes_each_priority_of_the_channels_that_are_served_and_nothing_else() -> None:
    send = send_stream("acme", Retention(), {"front", "back"})
    assert send.subjects == [
        f"clinic.acme.channel.{channel}.send{priority}"
        for channel in ("back", "front")
        for priority in (".high", "", ".bulk")
    ]
    assert clinic_streams("acme", Retention(), ["back", "front"])[0] == send


def test_a_work_queue_without_channels_has_a_subject_that_is_no_channels() -> None:
    (subject,) = clinic_streams("acme", Retention())[0].subjects or []
    root, channel, verb = subject.rsplit(".", 2)
    assert (root, verb in ("send", "rpc", "event", "dead")) == ("clinic.acme.channel", False)
    with pytest.raises(InvalidIdError):
        check_name("channel", channel)


def test_events_dead_letters_and_media_are_kept_as_long_as_configured() -> None:
    by_name = {config.name: config for config in clinic_streams("acme", Retention(events=1 * DAY))}
    ages = {name: config.max_age for name, config in by_name.items()}
    assert ages == {"send": 0, "later": 0, "events": DAY, "dead": 30 * DAY, "OBJ_media": 7 * DAY}
    assert by_name["events"].duplicate_window == 120


def test_platform_keeps_the_events_and_dead_letters_of_all() -> None:
    (events,) = platform_streams(Retention())
    assert events.subjects == ["clinic.*.channel.*.event.>", "clinic.*.channel.*.dead"]


def test_the_registry_is_a_key_value_bucket() -> None:
    (bucket,) = node_streams()
    assert (bucket.name, bucket.max_msgs_per_subject) == ("KV_plantao_registry", 1)
    assert bucket.allow_rollup_hdrs
