"""neonize's generated protobuf classes, without neonize itself.

Importing ``neonize.proto.x`` runs ``neonize/__init__.py`` first, which loads the Go library and starts a
thread.  A bare package in its place for the duration of the import avoids both; it is taken away afterwards,
so that a later ``import neonize`` in the same process (a test run) gets the real one.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType


def neonize_directory() -> Path:
    """The folder of the installed neonize package; raises LookupError if there is none."""
    spec = PathFinder.find_spec("neonize")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("neonize is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


@contextmanager
def _bare_package() -> Iterator[None]:
    if "neonize" in sys.modules:
        yield
        return
    package = ModuleType("neonize")
    package.__path__ = [str(neonize_directory())]
    sys.modules["neonize"] = package
    try:
        yield
    finally:
        del sys.modules["neonize"]


with _bare_package():
    from neonize.proto.waAdv.WAAdv_pb2 import (
        ADVDeviceIdentity,
        ADVSignedDeviceIdentity,
        ADVSignedDeviceIdentityHMAC,
    )
    from neonize.proto.waCert.WACert_pb2 import CertChain
    from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message
    from neonize.proto.waWa6.WAWebProtobufsWa6_pb2 import ClientPayload, HandshakeMessage

__all__ = [
    "ADVDeviceIdentity",
    "ADVSignedDeviceIdentity",
    "ADVSignedDeviceIdentityHMAC",
    "CertChain",
    "ClientPayload",
    "HandshakeMessage",
    "Message",
    "neonize_directory",
]
