"""What ``supervisor/README.md`` says is so: its example runs, and its list of modules is whole."""

import re
import subprocess
import sys
from pathlib import Path

import supervisor

PACKAGE = Path(supervisor.__file__).parent
README = (PACKAGE / "README.md").read_text(encoding="utf-8")


def test_the_example_prints_what_it_says(tmp_path: Path) -> None:
    example = tmp_path / "example.py"
    example.write_text(re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0], encoding="utf-8")
    said = subprocess.run(
        [sys.executable, example], capture_output=True, text=True, timeout=30, check=True, cwd=PACKAGE.parent,
        env={"PYTHONPATH": str(PACKAGE.parent)},
    ).stdout  # fmt: skip
    printed = [line for line in said.splitlines() if line in README]
    for line in ("total 1", "total 40", "[('counter', 1)]", "ended: shutdown"):
        assert line in said.splitlines()
        assert f"`{line}`" in README
    assert printed.index("total 1") < printed.index("total 40")


def test_every_module_is_listed() -> None:
    listed = set(
        re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in README.splitlines() if line[:3] == "| `"))
    )
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert modules <= listed
