"""``deploy/README.md``: what it leads to is there, and what it has one type is taken."""

import re
import shlex
import subprocess
from typing import Final

import pytest

from tests.commands import commands
from tests.deploy.manifests import DEPLOY, ROOT, check_command

TEXT: Final = (DEPLOY / "README.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
_NAMES: Final = "|".join(sorted({command.words[0] for command in commands()}))
OURS: Final = sorted({line.strip() for line in re.findall(rf"plantao ((?:{_NAMES})\b[^\n`#]*)", TEXT)})


def test_every_link_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)", TEXT)
    assert targets
    assert [target for target in targets if not (DEPLOY / target).exists()] == []


def test_every_file_of_ours_that_is_named_is_there() -> None:
    named = set(re.findall(r"deploy/[A-Za-z0-9_./-]*[A-Za-z0-9]", TEXT)) - {"deploy/secrets"}
    assert {"deploy/Dockerfile", "deploy/compose.yaml", "deploy/kubernetes"} <= named
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("block", BLOCKS)
def test_what_is_to_be_pasted_is_shell(block: str) -> None:
    checked = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False, timeout=10)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("line", OURS)
def test_a_command_of_ours_is_one(line: str) -> None:
    check_command(["plantao", *shlex.split(line)])


def test_commands_of_ours_are_found() -> None:
    assert {"doctor", "reload", "ready --data /var/lib/plantao", "clinic list", "backup FILE"} <= set(OURS)
