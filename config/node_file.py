"""``node.json``: where a running node is found, by the command line and by whoever reads the README.

It lies in memory, because of the credentials; what is found in the data directory leads there.
"""

import json
import os
from pathlib import Path
from typing import Final

from gateway import disk

NODE_FILE: Final = "node.json"
CERTIFICATE_FILE: Final = "certificate.pem"


def write(data: Path, runtime: Path, *, http: str, nats: str, certificate: bytes | None) -> None:
    """``http`` and ``nats`` are URLs, the second with a login; ``certificate``: as the endpoint shows it, PEM; the file
    that it came from may hold the next one already. Raises OSError."""
    if certificate is not None:
        disk.write(runtime / CERTIFICATE_FILE, certificate)
    shown = None if certificate is None else str(runtime / CERTIFICATE_FILE)
    real, found = runtime / NODE_FILE, data / NODE_FILE
    disk.write(real, json.dumps({"http": http, "certificate": shown, "nats": nats, "pid": os.getpid()}).encode())
    link = found.with_suffix(".tmp")
    link.unlink(missing_ok=True)
    link.symlink_to(real)
    link.replace(found)


def remove(data: Path, runtime: Path) -> None:
    """No node is found any more; harmless if none was."""
    for path in (data / NODE_FILE, runtime / NODE_FILE, runtime / CERTIFICATE_FILE):
        path.unlink(missing_ok=True)
