"""The node on this data directory, if one runs: what it says of itself."""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final

from config.cli.client import KEY_FILE, NodeClient, NodeRefusedError, running_pid
from config.doctor.finding import Finding, fine, unknown, warning, wrong
from config.sections import Settings
from protocol.channel import ChannelState, ClinicState
from protocol.errors import InvalidInputError, PlantaoError

CHECK: Final = "node"
PARTS: Final = ("store", "bus", "broker", "nursery", "audit")
_OF_CLINICS: Final[Mapping[str, str]] = {
    ClinicState.DEGRADED: "which channel, and why: plantao channel list --clinic {clinic}",
    ClinicState.ERROR: "see its reason; plantao doctor, plantao top --clinic {clinic} --once",
    ClinicState.QUARANTINED: "once the reason is gone: plantao clinic release {clinic}",
}
"""What to do about a clinic in this state; in others, nothing."""
_OF_CHANNELS: Final[Mapping[str, str]] = {
    ChannelState.ERROR: "which and why: plantao channel list --state error",
    ChannelState.LOGGED_OUT: "which: plantao channel list --state logged_out; pair it again: plantao channel pair",
}


def look(settings: Settings) -> Iterator[Finding]:
    """How the node is, and its clinics and channels."""
    if running_pid(settings.data) is None:
        yield unknown(CHECK, f"no node runs on {settings.data}", f"start one with: plantao run --data {settings.data}")
        return
    try:
        said = NodeClient.find(settings.data, None, None).ready()
    except (NodeRefusedError, InvalidInputError) as error:
        key = settings.data / KEY_FILE
        yield warning(CHECK, f"it does not take {key}: {error}", f"rm -f {key}; the next start makes another")
        return
    except PlantaoError as error:
        yield wrong(CHECK, str(error), "see its log; if it hangs, end it (SIGTERM) and start it again")
        return
    yield from told(said, version("plantao"))


def told(said: Mapping[str, Any], installed: str) -> Iterator[Finding]:
    """What the answer of ``/ready`` means. ``installed``: the version of this program."""
    parts = {name: said[name] for name in PARTS if name in said}
    for name, part in parts.items():
        if not part["ok"]:
            why = part.get("reason") or "see the log"
            yield wrong(CHECK, f"{name} does not work: {why}", "which actor it is: plantao top --trouble --once")
    if said.get("version") not in (None, installed):
        runs = f"version {said['version']} runs, and {installed} is installed"
        yield warning(CHECK, runs, "start the node again, so that the new version runs")
    for clinic in said.get("clinics") or ():
        if clinic["state"] in _OF_CLINICS:
            how = f"clinic {clinic['clinic']} is {clinic['state']}: {clinic['reason'] or 'see the log'}"
            yield warning(CHECK, how, _OF_CLINICS[clinic["state"]].format(clinic=clinic["clinic"]))
    for state, mend in _OF_CHANNELS.items():
        if count := (said.get("channels") or {}).get(state):
            yield warning(CHECK, f"{count} channels are {state}", mend)
    if said.get("draining"):
        yield warning(CHECK, "it drains, and then ends", "wait for its end, and start it again")
    elif said["ready"]:
        yield fine(CHECK, f"it runs and is ready; {said.get('queued', 0)} messages wait")
    elif all(part["ok"] for part in parts.values()):
        yield wrong(
            CHECK, "it runs and is not ready", "it is starting or ending: look again in a minute, and at its log"
        )
