"""Metrics of what goes through channels, since the node was started."""

from collections.abc import Sequence
from datetime import datetime

from gateway.http.catalogue import Samples
from protocol.meters import ChannelMeter, ClinicTimes


def put_traffic(samples: Samples, meters: Sequence[ChannelMeter], now: datetime) -> None:
    """Of all channels. Error codes appear with the first failure: they are too many to be given for each channel."""
    for meter in meters:
        of = (meter.clinic, meter.channel)
        samples.put("plantao_commands_accepted_total", meter.accepted, *of)
        for status, count in meter.ended.items():
            samples.put("plantao_commands_ended_total", count, *of, status)
        for code, count in sorted(meter.failed.items()):
            samples.put("plantao_commands_failed_total", count, *of, code)
        samples.put("plantao_dead_letters_total", meter.dead, *of)
        for kind, count in meter.receipts.items():
            samples.put("plantao_receipts_total", count, *of, kind)
        samples.put("plantao_inbound_messages_total", meter.inbound, *of)
        samples.put("plantao_inbound_lost_total", meter.lost, *of)
        samples.put("plantao_undecryptable_total", meter.undecryptable, *of)
        samples.put("plantao_reconnects_total", meter.reconnects, *of)
        oldest, last = meter.oldest_waiting_at, meter.last_inbound_at
        age_s = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
        samples.put("plantao_oldest_command_age_seconds", age_s, *of)
        if last is not None:
            samples.put("plantao_inbound_last_timestamp_seconds", last.timestamp(), *of)


def put_times(samples: Samples, times: Sequence[ClinicTimes]) -> None:
    """Of all clinics."""
    for each in times:
        samples.put_times("plantao_queue_seconds", each.queue, each.clinic)
        samples.put_times("plantao_send_seconds", each.send, each.clinic)
        samples.put_times("plantao_delivery_seconds", each.delivery, each.clinic)
