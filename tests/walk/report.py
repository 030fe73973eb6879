"""What came of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from tests.walk.crowd import OPENS_WITHIN_S, TOLD_WITHIN_S, Figures


class Walked(msgspec.Struct, frozen=True, kw_only=True):
    """A walk in one look. ``wrong``: what nobody may see; ``stopped``: where it could not go on, if it could not."""

    look: str
    pictures: int
    wrong: Sequence[str]
    stopped: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All walks, and how the page was with a crowd (None: it was not asked for)."""

    walks: Sequence[Walked]
    crowd: Figures | None
    shots: str

    @property
    def ok(self) -> bool:
        """Whether everybody came through with nothing wrong, and the page kept up with the crowd."""
        walked = all(not each.wrong and each.stopped is None for each in self.walks)
        return walked and (self.crowd is None or self.crowd.ok)

    def show(self, console: Console) -> None:
        """Print it."""
        for each in self.walks:
            console.print(f"[bold]{each.look}[/]: {each.pictures} pictures, {len(each.wrong)} things wrong")
            for line in each.wrong:
                console.print(f"  [red]✗[/] {line}", markup=True, soft_wrap=True)
            if each.stopped is not None:
                console.print(f"  [red]stopped[/] {each.stopped}", markup=True, soft_wrap=True)
        if self.crowd is not None:
            _show_crowd(self.crowd, console)
        console.print(f"Pictures for looking at: {Path(self.shots).resolve()}")
        console.print("[green]All of it was seen.[/]" if self.ok else "[red]Not all was as it should be.[/]")

    def to_json(self) -> bytes:
        """For ``--json``."""
        return msgspec.json.format(msgspec.json.encode(self))


_MARK: Final = {True: "[green]✓[/]", False: "[red]✗[/]"}


def _show_crowd(crowd: Figures, console: Console) -> None:
    opens = f"{crowd.opens_s:.2f} s, and {crowd.opens_in_storm_s:.2f} s while all of it moves"
    fast = max(crowd.opens_s, crowd.opens_in_storm_s) < OPENS_WITHIN_S
    told = f"{crowd.told_p50_s:.2f} s, 95 % within {crowd.told_p95_s:.2f} s"
    console.print(f"[bold]{crowd.clinics} clinics × {crowd.channels} channels[/]: {len(crowd.wrong)} things wrong")
    console.print(
        f"  {_MARK[fast]} the page opens in {opens} (medians of {crowd.openings}; at most {OPENS_WITHIN_S:g} s)"
    )
    console.print(f"    {crowd.transitions_per_s:.0f} transitions a second for {crowd.seconds:.0f} s:")
    console.print(
        f"  {_MARK[crowd.told_p95_s < TOLD_WITHIN_S]} each is shown after {told} (at most {TOLD_WITHIN_S:g} s)"
    )
    rest = f"at work for {max(50.0, crowd.longest_task_ms):.0f} ms at most, {crowd.heap_mb:.0f} MB of JavaScript"
    console.print(f"    {crowd.frames_per_s:.0f} frames a second, {rest}")
    for line in crowd.wrong:
        console.print(f"  [red]✗[/] {line}", soft_wrap=True)
