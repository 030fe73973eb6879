"""The runbook as data: its sections, the commands that are to be pasted, and what they name."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.deploy.rules import ROOT

RUNBOOK: Final = ROOT / "deploy" / "RUNBOOK.md"

_HEADING: Final = re.compile(r"(#{1,3}) (.+)")
_FENCE: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_QUOTED: Final = re.compile(r"(?<!`)`(plantao [^`\n]+)`(?!`)")
_LINK: Final = re.compile(r"\]\(#([^)]+)\)")
_STRING: Final = re.compile(r"""'[^']*'|"[^"$]*"|^for \w+ in \S+""")
_NEWEST: Final = '"$(ls -1t "$each"*.backup | head -1)"'
_SPLIT: Final = re.compile(r"\|\||&&|[|;()]|\$\(")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What stands below a heading, until the next one of any level. ``parent``: the heading of level 2 above it."""

    title: str
    level: int
    parent: str
    text: str

    @property
    def blocks(self) -> Sequence[str]:
        """What is to be pasted, in order."""
        return _FENCE.findall(self.text)

    @property
    def anchor(self) -> str:
        """By which links name it, as forges make it of the heading."""
        return re.sub(r"[^\w\- ]", "", self.title.lower()).replace(" ", "-")

    @property
    def subject(self) -> str:
        """The heading, or what it quotes."""
        quoted = re.match(r"`(\w+)`", self.title)
        return quoted[1] if quoted else self.title


def sections(path: Path = RUNBOOK) -> list[Section]:
    """All of the runbook, in its order."""
    found: list[Section] = []
    title, level, parent, lines, fenced = "", 0, "", list[str](), False
    for line in [*path.read_text(encoding="utf-8").splitlines(), "# end"]:
        heading = None if fenced else _HEADING.fullmatch(line)
        if heading is None:
            lines.append(line)
            fenced ^= line.startswith("```")
            continue
        if title:
            found.append(Section(title=title, level=level, parent=parent, text="\n".join(lines)))
        title, level, lines = heading[2], len(heading[1]), []
        parent = title if level == 2 else parent
    return found


def below(parent: str) -> dict[str, Section]:
    """The sections of level 3 below ``parent``, by what they are about."""
    return {section.subject: section for section in sections() if section.level == 3 and section.parent == parent}


def links() -> set[str]:
    """The anchors to which the runbook leads."""
    return {anchor for section in sections() for anchor in _LINK.findall(section.text)}


def programs(block: str) -> Iterator[str]:
    """The programs that a block calls, one for each simple command."""
    for line in block.splitlines():
        for simple in _SPLIT.split(_STRING.sub("''", line)):
            words = [word for word in simple.split() if not re.fullmatch(r"\w+=\S*|done|do", word)]
            if words and re.fullmatch(r"[a-z][\w-]*", words[0]):
                yield words[0]


def commands(environment: Mapping[str, str]) -> list[list[str]]:
    """Every ``plantao`` command line, in blocks and in the text, with ``environment`` put in, as arguments."""
    quoted = [line for section in sections() for line in _QUOTED.findall(section.text)]
    pasted = [line for section in sections() for block in section.blocks for line in block.splitlines()]
    return [words for line in quoted + pasted for words in _plantao(line, environment)]


def _plantao(line: str, environment: Mapping[str, str]) -> Iterator[list[str]]:
    for simple in _SPLIT.split(line.replace("$(date +%F)", "2026-11-28").replace(_NEWEST, "FILE")):
        words = [word.strip("\"'") for word in simple.split() if word != "do"]
        if words[:1] == ["plantao"]:
            told = words[1 : _redirected(words)]
            yield [re.sub(r"\$(\w+)", lambda name: environment[name[1]], word) for word in told]


def _redirected(words: Sequence[str]) -> int:
    return next((at for at, word in enumerate(words) if word.startswith(">")), len(words))
