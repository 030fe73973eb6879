"""What the settings let a clinic's NATS account have."""

from config.sections import Limits
from gateway.nats.server_config import ClinicQuota


def nats_quota(limits: Limits) -> ClinicQuota:
    """As quotas of the account."""
    return ClinicQuota(
        file_bytes=limits.stream_bytes,
        memory_bytes=limits.nats_memory_bytes,
        streams=limits.nats_streams,
        consumers=limits.nats_consumers,
        connections=limits.nats_connections,
        subscriptions=limits.nats_subscriptions,
    )
