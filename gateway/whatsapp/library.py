"""The one door to neonize. Only the nursery and the ports it forks import this module, never the main process.

Importing it imports all of neonize's Python part, but not its Go library, which does not survive a fork: the binder is
told, as for building documentation (``SPHINX``), to leave it out. ``load()`` brings it in, once, in the forked child.

What neonize does at import and must not: start a log thread (a forking process has one thread), set up the root
logger, start ``uname`` to find its file, and above all download a library from the internet when the versions differ.
The packages it needs only for link previews, downloads and drawing QR codes are stand-ins: that saves each port
megabytes, and shows at once if anything tries to use them.
"""

import importlib
import logging
import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

from google.protobuf.message import DecodeError

_STAND_INS: Final = {
    "linkpreview": ("link_preview",),
    "segno": (),
    "httpx": ("Client", "AsyncClient"),
    "requests": (),
    "tqdm": ("tqdm",),
}


class LibraryError(Exception):
    """neonize cannot be used as it is installed; the text says why."""


@contextmanager
def _without_go_library() -> Iterator[None]:
    before = os.environ.get("SPHINX")
    os.environ["SPHINX"] = "1"
    stand_ins = []
    for name, attributes in _STAND_INS.items():
        if name not in sys.modules:
            module = types.ModuleType(name)
            for attribute in attributes:
                setattr(module, attribute, None)
            sys.modules[name] = module
            stand_ins.append(name)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]
        os.environ.pop("SPHINX")
        if before is not None:
            os.environ["SPHINX"] = before


with _without_go_library():
    import pylibmagic  # noqa: F401 - python-magic then needs no libmagic of the system
    from neonize import _binder as binder
    from neonize import client, download, events
    from neonize.proto import Neonize_pb2 as proto
    from neonize.proto.waCommon.WACommon_pb2 import MessageKey
    from neonize.proto.waCompanionReg.WAWebProtobufsCompanionReg_pb2 import DeviceProps
    from neonize.proto.waE2E import WAWebProtobufsE2E_pb2 as e2e
    from neonize.utils import ffmpeg, platform
    from neonize.utils.enum import (
        ChatPresence,
        ChatPresenceMedia,
        ClientName,
        ClientType,
        MediaType,
        Presence,
        ReceiptType,
    )

__all__ = [
    "ChatPresence",
    "ChatPresenceMedia",
    "ClientName",
    "ClientType",
    "DecodeError",
    "DeviceProps",
    "LibraryError",
    "MediaType",
    "MessageKey",
    "Presence",
    "ReceiptType",
    "binder",
    "client",
    "e2e",
    "events",
    "load",
    "prepare",
    "proto",
]


class _SilentWait(client.ThreadEvent):  # type: ignore[misc]  # neonize has no types
    """``connect()`` polls the end of the Go call five times a second, to notice Ctrl-C; a port gets none, so it can
    just wait."""

    def wait(self, timeout: float | None = None) -> bool:
        return bool(super().wait())


def prepare() -> None:
    """Make the process fit to fork ports: one thread, no logging, no way to the internet.

    Raises:
        LibraryError: the Go library for this machine is not installed.
    """
    name = platform.generated_name()
    path = Path(binder.__file__).with_name(name)
    if not path.exists():
        raise LibraryError(f"neonize has no Go library for this machine: {path} does not exist")
    platform.generated_name = lambda *_: name
    download.download = _refuse_download
    ffmpeg._ffmpeg_checked = True
    client.ThreadEvent = _SilentWait
    log = sys.modules["neonize.utils.log"]  # the package's attribute of that name is a logger
    log._log_queue.put(None)
    log._thread.join()
    logging.getLogger().handlers[:] = [logging.NullHandler()]
    log.log.setLevel(logging.INFO)  # what whatsmeow tells us; debugging is a line per stanza


def load() -> Any:
    """Load the Go library into this process; only after the last fork. The binder's library object.

    Raises:
        LibraryError: it cannot be loaded, or is not of the version that neonize's Python part expects.
    """
    os.environ.pop("SPHINX", None)
    try:
        importlib.reload(binder)
    except Exception as error:
        raise LibraryError(f"neonize's Go library cannot be loaded: {error}") from error
    for name in ("gocode", "func_string", "func_callback_bytes", "func_callback_bytes2"):
        setattr(client, name, getattr(binder, name))
    return binder.gocode


def _refuse_download(*_: object) -> NoReturn:
    raise LibraryError("neonize wanted to download its Go library; install the wheel that fits instead")
