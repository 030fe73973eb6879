"""What answers: all that handlers ask."""

from dataclasses import dataclass

from gateway.access.api_keys import ApiKeys
from gateway.http.health import Health
from gateway.nats.logins import Logins
from protocol.audit import VerifiedAudit
from protocol.custody import Backups, PersonalData
from protocol.jobs import Jobs
from protocol.live import Live
from protocol.meters import Meters
from protocol.operations import Operations
from protocol.reloading import Reloading
from protocol.rotation import Rotations


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """Of one node; all of it is called on the loop's thread."""

    operations: Operations
    keys: ApiKeys
    logins: Logins
    jobs: Jobs
    backups: Backups
    personal: PersonalData
    rotations: Rotations
    reloading: Reloading
    audit: VerifiedAudit
    health: Health
    live: Live
    meters: Meters
