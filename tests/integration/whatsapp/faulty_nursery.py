"""A nursery whose ports have one fault in our own code, named by the first argument: by the thread that dies of it.

The rest of the command line is that of the emulator's nursery.
"""

import sys
from typing import Any, Final, NoReturn

from gateway.whatsapp.outflow import Outflow
from gateway.whatsapp.qr import QrSchedule
from gateway.whatsapp.session import Session
from gateway.whatsapp.work import Pool
from tests.emulator import nursery

FAULTS: Final[dict[str, tuple[type, str]]] = {
    "calls": (Session, "do"),
    "callback": (QrSchedule, "shown"),
    "outflow": (Outflow, "_pop"),
    "leave": (Outflow, "flush"),
    "main": (Pool, "run"),
}


def fail(*_: Any, **__: Any) -> NoReturn:
    """What a port must not repeat."""
    raise ValueError("a patient's words\nthread main died of 5511999990000")


if __name__ == "__main__":
    faulty, method = FAULTS[sys.argv[1]]
    setattr(faulty, method, fail)
    sys.exit(nursery.main(sys.argv[2:]))
