"""The README, walked as somebody new walks it: every line is typed as it stands there, and no other."""

import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.documents import nats_cli
from tests.documents.terminal import Terminal, lines

ROOT = Path(__file__).parents[2]
SECTIONS = ("Try it", "Use it")
STAYS = {
    "make demo": "Ctrl-C ends it.",
    "plantao channel pair": "Scan this with the phone",
    "python deploy/examples/autoresponder.py": "",
    "plantao top": "acme",
    "plantao events": "reception",
    "nats sub": "Subscribing",
}
"""Lines that go on until Ctrl-C, or until something comes that a later line does; and what they show meanwhile."""
SHOWS = {
    "python -m tests.demo.phone read": "Recebemos: Posso remarcar?. Já respondemos.",
    "plantao send acme reception --to 5511999990000 --text": "Sent as ",
    "plantao channel check": "yes",
    "plantao audit list": "channel.pair",
    "nats req": '"state":"connected"',
}
"""What has to be seen on the way."""
UNTRACKED = (".venv", ".git", ".demo", ".*_cache", ".hypothesis", ".coverage*", "__pycache__", "node_modules", "data")


TERMINALS = ("first", "second", "third")


def steps(readme: str) -> Iterator[tuple[str, str]]:
    """Each line of the shell blocks of these sections, in order, and the terminal that the words before it name."""
    where = TERMINALS[0]
    for section in SECTIONS:
        text = re.split(rf"^## {re.escape(section)}$", readme, flags=re.MULTILINE)[1].partition("\n## ")[0]
        for words, block in re.findall(r"(.*?)^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            named = re.findall("|".join(TERMINALS), words)
            where = named[-1] if named else where
            yield from ((where, line) for line in lines(block))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The repository as somebody new has it, once it is set up."""
    clone = tmp_path / "plantao"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*UNTRACKED), symlinks=True)
    (clone / ".venv").mkdir()
    for part in (ROOT / ".venv").iterdir():
        (clone / ".venv" / part.name).symlink_to(part)
    installed = clone / ".venv" / ".installed"
    installed.unlink(missing_ok=True)
    installed.touch()
    return clone


@pytest.fixture
async def terminals(tmp_path: Path, clone: Path) -> AsyncIterator[dict[str, Terminal]]:
    """Open in the clone. Their ``nats`` command is one that knows what the documents use of it."""
    tools = tmp_path / "tools"
    tools.mkdir()
    nats_cli.link(tools)
    env = {"PATH": f"{tools}:{os.environ['PATH']}"}
    async with AsyncExitStack() as open_ones:
        yield {
            name: await open_ones.enter_async_context(Terminal(clone, env, exports=tmp_path / name))
            for name in TERMINALS
        }


async def test_every_step_from_nothing_to_an_answered_message_and_beyond_is_written_down(
    terminals: dict[str, Terminal],
) -> None:
    seen: set[str] = set()
    begun = time.monotonic()
    written = list(steps((ROOT / "README.md").read_text()))
    for where, line in written:
        stays = next((shows for prefix, shows in STAYS.items() if line.startswith(prefix)), None)
        if stays is not None:
            await terminals[where].start(line, stays)
            continue
        said = await terminals[where].run(line)
        for prefix, shows in SHOWS.items():
            if prefix in line:
                assert shows in said, (line, said)
                seen.add(prefix)
    print(f"\nREADME: {len(written)} lines in {time.monotonic() - begun:.0f} s, once it is set up")
    assert seen == set(SHOWS)
    for name in reversed(TERMINALS):
        last = await terminals[name].interrupt()
        assert "Traceback" not in last, (name, last)
        assert "did not end" not in last, (name, last)
