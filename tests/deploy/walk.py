"""Someone who does what the runbook says: its blocks, pasted into a shell beside a real node."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.acceptance.node import PLANTAO, Node
from tests.deploy.runbook import Section, sections

PASTE_TIMEOUT_S: Final = 60.0
_SERVICE: Final = re.compile(r"systemctl (stop|start|restart|kill\b.*) plantao")
_HELPERS: Final = {
    "journalctl": '#!/bin/sh\ncat "$NODE_LOG"\n',
    "systemctl": '#!/bin/sh\necho "systemctl $*"\n',
}
"""What stands for the machine's own programs: the log, and what only shows how the service is."""


def section(title: str) -> Section:
    """The one with this heading."""
    [found] = [section for section in sections() if section.title == title]
    return found


class Walk:
    """``node`` is the service ``plantao``; its directory has the settings, and the archives lie beside it."""

    def __init__(self, node: Node, **variables: str) -> None:
        self._node = node
        self.backups = node.directory.parent / "backups"
        self.backups.mkdir(exist_ok=True)
        self._programs = _helpers(node.directory.parent / "bin")
        self._variables = {"C": "acme", "CH": "reception", **variables}

    @property
    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": os.pathsep.join([str(self._programs), str(PLANTAO.parent), os.environ["PATH"]]),
            "HOME": str(self._node.directory),
            "COLUMNS": "200",
            "NODE_LOG": str(self._node.directory / "node.log"),
            "PLANTAO_DATA": str(self._node.data),
            "PLANTAO_RUNTIME": str(self._node.runtime),
            "PLANTAO_KEYS__MASTER_FILE": str(self._node.directory / "master.key"),
            "ETC": str(self._node.directory),
            "BACKUPS": str(self.backups),
            **self._variables,
        }

    async def paste(self, title: str, block: int = 0, *, well: bool = True) -> str:
        """A block of a section; what it printed. All of it must succeed, unless it shows what is not ``well``. What
        it exports was given before."""
        lines = section(title).blocks[block].splitlines()
        said, pending = "", list[str]()
        for line in [line for line in lines if not line.startswith("export ")]:
            service = _SERVICE.fullmatch(line)
            if service is None:
                pending.append(line)
                continue
            said += await self._run(pending, well=well)
            pending = []
            await self._have(service[1])
        return said + await self._run(pending, well=well)

    async def _run(self, lines: list[str], *, well: bool) -> str:
        if not lines:
            return ""
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euc" if well else "-uc", "\n".join(lines)),
            env=self._environment,
            cwd=self._node.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), PASTE_TIMEOUT_S)
        assert process.returncode == 0 or not well, said.decode()
        return said.decode()

    async def _have(self, done: str) -> None:
        if done.startswith("kill"):
            self._node.signal(signal.SIGTERM)
        if done in ("stop", "restart"):
            await self._node.close_http()
            assert await asyncio.to_thread(self._node.stop) == 0
        if done in ("start", "restart"):
            await asyncio.to_thread(self._node.start)
            await self._node.open_http()


def _helpers(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    for name, script in _HELPERS.items():
        program = directory / name
        program.write_text(script)
        program.chmod(0o755)
    return directory
