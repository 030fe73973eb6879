"""What a document names: pure functions of its text, each for one kind of thing. They say what is named, as it is
written; ``existing`` knows what there is."""

import re
import shlex
from collections.abc import Iterator
from typing import Final

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_COMMAND: Final = re.compile(
    r"(?:^[ $]*|[`|;&(] *|\bsudo |\bexec -T plantao |\bplantao-0 -- |/bin/)plantao +((?:\\\n|[^`|;&)\n])*)",
    re.MULTILINE,
)
_ROUTE: Final = re.compile(
    r"(?:\b(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) )?(?<![\w/.\]-])"
    r"(/(?:health|ready|metrics|page|api/v1)(?![\w-])(?:/[^\s`\"')|,;?]*)?)"
)
_ROUTE_OF_URL: Final = re.compile(r"https?://[\w.:$\{}-]+(/(?:health|ready|metrics|api/v1)[^\s`\"')|,;?]*)")
_FILES: Final = ("md", "py", "yml", "yaml", "json", "toml", "conf", "sh", "service")


def code(markdown: str) -> str:
    """What is code in it: blocks and spans, one after another, each on lines of its own."""
    blocks = [block for _, block in _FENCE.findall(markdown)]
    return "\n".join([*blocks, *_SPAN.findall(_FENCE.sub("", markdown))])


def blocks(markdown: str, language: str) -> list[str]:
    """The code blocks in a language."""
    return [block for found, block in _FENCE.findall(markdown) if found == language]


def spans(markdown: str) -> list[str]:
    """What stands between backticks."""
    return _SPAN.findall(_FENCE.sub("", markdown))


def commands(text: str) -> Iterator[list[str]]:
    """The words of each ``plantao`` command line, without ``plantao``."""
    for found in _COMMAND.findall(text):
        line = re.sub(r"(^|\s)#.*", "", found.replace("\\\n", " "))
        try:
            words = shlex.split(line)
        except ValueError:  # a quote that began before the command
            words = line.replace('"', " ").replace("'", " ").split()
        if words:
            yield words


def variables(text: str) -> set[str]:
    """Variables of the environment that are Plantão's."""
    return set(re.findall(r"(?<![A-Z_])PLANTAO_[A-Z0-9_]*[A-Z0-9]\b", text))


def settings(markdown: str, sections: set[str]) -> set[str]:
    """``section.key`` in spans, also as an argument, where ``section`` is one."""
    named = re.compile(rf"(?<![\w./@-])(?:{'|'.join(sorted(sections))})\.[a-z][a-z_0-9]*(?![\w/(.<-])")
    return {
        key for span in spans(markdown) for key in named.findall(span) if key.rpartition(".")[2] not in _FILES
    } | _tables(markdown)


def _tables(markdown: str) -> set[str]:
    """``section.key`` of TOML blocks."""
    found, section = set(), ""
    for line in "\n".join(blocks(markdown, "toml")).splitlines():
        if head := re.match(r"\[(\w+)\]", line):
            section = head[1]
        elif key := re.match(r"#? ?(\w+) = ", line):
            found.add(f"{section}.{key[1]}" if section else key[1])
    return found


def routes(text: str) -> set[tuple[str, str]]:
    """Method (empty if none is said) and path."""
    named = [*_ROUTE.findall(text), *(("", path) for path in _ROUTE_OF_URL.findall(text))]
    return {(method, path.rstrip(".:")) for method, path in named}


def subjects(text: str) -> set[str]:
    """NATS subjects and patterns of them."""
    return {
        found.rstrip(".")
        for found in re.findall(r"(?<![\w.])clinic\.[^\s'\"`|)\\]+", text)
        if re.search(r"\.(channel|rpc)\.", found)
    }


def targets(text: str) -> set[str]:
    """Targets of ``make``."""
    return set(re.findall(r"(?:^|[`(&;]\s*)make ([a-z]+)(?![\w-])", text, re.MULTILINE))


def links(markdown: str) -> set[tuple[str, str]]:
    """Paths, relative to the document, and anchors (either may be empty); not what is elsewhere."""
    found = re.findall(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)", _FENCE.sub("", markdown))
    return {(path, anchor) for path, anchor in found if ":" not in path}


def paths(text: str, tops: set[str]) -> set[str]:
    """Files and folders of the repository: what begins with one of ``tops``."""
    named = re.compile(rf"(?<![\w./$}}-])(?:{'|'.join(map(re.escape, sorted(tops)))})/[\w./*-]*[\w*/](?![\w…<{{])")
    return set(named.findall(text))


def metrics(text: str) -> set[str]:
    """Names that begin as metrics do."""
    return set(re.findall(r"(?<![\w-])plantao_[a-z0-9_]*[a-z0-9](?![\w*-])", text))


def log_fields(markdown: str) -> set[str]:
    """Fields of log lines that a search in the log names."""
    return {field for search in _searches(markdown) for field in re.findall(r"\"(\w+)\": ?", search)}


def log_events(markdown: str) -> set[str]:
    """What lines of the log say that a search in the log names: ``"event": "…"``, or words."""
    return {
        event
        for search in _searches(markdown)
        for found in re.findall(r"\"event\": ?\"([\w ]+)\"|[\"']([a-z_]+(?: [a-z_]+)+)[\"']", search)
        for event in found
        if event
    }


def _searches(markdown: str) -> list[str]:
    lines = [line for block in blocks(markdown, "sh") for line in block.splitlines()]
    return [found for line in lines if "journalctl" in line for found in re.findall(r"grep [^|]*", line)]


def anchors(markdown: str) -> set[str]:
    """By which its headings are linked to."""
    heads = re.findall(r"^#{1,6} (.*?)\s*$", _FENCE.sub("", markdown), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", head).lower()).replace(" ", "-") for head in heads}
