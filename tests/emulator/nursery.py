"""Plantão's port nursery, against the emulator: the same nursery, whose children trust the emulator's root key."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.emulator.root_key import put_root_key


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``gateway.whatsapp.nursery`` with what is left of ``argv``; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.emulator.nursery", allow_abbrev=False)
    parser.add_argument("--root-key", type=Path, required=True, help="file with the 32-byte root public key")
    options, remaining = parser.parse_known_args(argv)
    key = options.root_key.read_bytes()

    nursery = importlib.import_module("gateway.whatsapp.nursery")
    return int(nursery.main(remaining, in_child=lambda: put_root_key(key)))


if __name__ == "__main__":
    sys.exit(main())
