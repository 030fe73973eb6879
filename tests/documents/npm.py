"""Packages of Node's that tests need, installed as their lock file says into a directory of the test's own."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

INSTALL_TIMEOUT_S: Final = 110.0


def installed(project: Path, into: Path) -> Path:
    """A copy of ``project`` in ``into``, with what it depends on. Raises CalledProcessError with what npm said."""
    place = shutil.copytree(project, into / project.name, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
        cwd=place,
        check=True,
        capture_output=True,
        timeout=INSTALL_TIMEOUT_S,
    )
    return place
