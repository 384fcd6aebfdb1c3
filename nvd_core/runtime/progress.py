"""How long work tells the world where it stands, and how it is told to stop.

Every stage calls `Progress.stage`, then `Progress.update` at least twice a second where it can.
`update` raises `Cancelled` once a stop was asked for, so a stage needs no other check; it must be
called where everything that should survive is on disk or can be written by an exception handler.
The command line ends a stage that does not come to ask (`cli/stopping.py`), as if it was killed.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichBars
from rich.text import Text

from nvd_core.runtime.errors import Cancelled
from nvd_core.runtime.files import without_nan
from nvd_core.runtime.log_file import EVERY, LogFile
from nvd_core.runtime.shown import visible

MOST_BARS = 12
"""stages that stay on the terminal"""


class Progress:
    """Silent progress: the base class, and what library callers get by default."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._unsaved = 0
        self._stage = ""
        self._shot: str | None = None
        self._total = 0
        self._started = 0.0
        self._first_done = 0
        self.log: LogFile | None = None
        """where it also goes, for people"""
        self._logged_at = 0.0

    def stage(self, name: str, total: int, done: int = 0) -> None:
        """Begin the stage `name` of `total` steps, of which `done` were done in an earlier run."""
        self._stage, self._total = name, total
        self._started, self._first_done = time.monotonic(), done
        self._log(f"{name}: {done} of {total}")
        self.update(done)

    def update(self, done: int, *, psnr: float | None = None, preview: Path | None = None) -> None:
        """Say that `done` steps are done; raises Cancelled if a stop was asked for."""
        self._show(done, psnr, preview)
        if self.log and time.monotonic() - self._logged_at > EVERY:
            quality = "" if psnr is None else f", PSNR {psnr:.2f} dB"
            self._log(f"{self._stage}: {done} of {self._total}{quality}")
        self.check()

    def expect(self, total: int) -> None:
        """Say that the stage turns out to have `total` steps."""
        self._total = total

    def caution(self, text: str) -> None:
        """Say in plain words what may go wrong on this clip."""
        self._log(f"caution: {text}")

    def message(self, text: str) -> None:
        """Say something that is good to know."""
        self._log(text)

    def ready(self, folder: Path, done: int, planned: int) -> None:
        """Say that `folder` can be painted on, in its refinement `done` (0: the draft)."""
        what = f"refinement {done} of {planned} is in" if done else "a draft is in"
        self.message(f"{what} {folder}, and can be painted on")

    def images(self, numbers: Sequence[int]) -> None:
        """Say that the images of these frames, in rising order, stand where they are written."""

    def _log(self, text: str) -> None:
        if self.log:
            self._logged_at = time.monotonic()
            self.log.write(f"{self._shot}: {text}" if self._shot else text)

    @contextmanager
    def of_shot(self, name: str) -> Iterator[None]:
        """Within, what is said is about this shot of several."""
        before, self._shot = self._shot, name
        try:
            yield
        finally:
            self._shot = before

    def cancel(self) -> None:
        """Ask for a stop; safe to call from any thread or signal handler."""
        self._stop.set()

    @property
    def cancelled(self) -> bool:
        """Whether a stop was asked for."""
        return self._stop.is_set()

    def check(self) -> None:
        """Raise Cancelled if a stop was asked for: between two updates that are far apart."""
        if self.cancelled:
            raise Cancelled

    @contextmanager
    def unsaved(self) -> Iterator[None]:
        """Within, work stands in memory that is saved when Cancelled is raised.

        A stop waits for that; elsewhere a stage that does not come to ask is ended where it is.
        """
        self._unsaved += 1
        try:
            yield
        finally:
            self._unsaved -= 1

    @property
    def has_unsaved(self) -> bool:
        """Whether a stop has to wait until something is saved."""
        return self._unsaved > 0

    def seconds_left(self, done: int) -> float | None:
        """The time left in this stage at its mean rate so far, None before it is known."""
        fresh = done - self._first_done
        if fresh <= 0:
            return None
        return (time.monotonic() - self._started) / fresh * max(self._total - done, 0)

    def _show(self, done: int, psnr: float | None, preview: Path | None) -> None:
        """Draw or print the state; the silent base class does nothing."""

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""


class JsonProgress(Progress):
    """One JSON object a line on stdout, at most four a second within a stage."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stdout
        self._shown_at = 0.0

    def emit(self, event: str, **values: object) -> None:
        """Print one event; None values are left out."""
        values = values | {"shot": self._shot}
        line = {"event": event} | {k: v for k, v in values.items() if v is not None}
        print(json.dumps(without_nan(line), allow_nan=False), file=self._stream, flush=True)

    def caution(self, text: str) -> None:
        super().caution(text)
        self.emit("caution", text=text)

    def message(self, text: str) -> None:
        super().message(text)
        self.emit("message", text=text)

    def ready(self, folder: Path, done: int, planned: int) -> None:
        super().ready(folder, done, planned)
        self.emit("ready", folder=str(folder), refinement=done, planned=planned)

    def images(self, numbers: Sequence[int]) -> None:
        if numbers:
            self.emit("images", frames=_as_ranges(numbers))

    def _show(self, done: int, psnr: float | None, preview: Path | None) -> None:
        now = time.monotonic()
        edge = done in (0, self._first_done, self._total) or preview is not None
        if not edge and now - self._shown_at < 0.25:
            return
        self._shown_at = now
        left = self.seconds_left(done)
        self.emit(
            "progress",
            stage=self._stage,
            done=done,
            total=self._total,
            seconds_left=None if left is None else round(left, 1),
            psnr=None if psnr is None else round(psnr, 2),
            preview=None if preview is None else str(preview),
        )


def _as_ranges(numbers: Sequence[int]) -> list[list[int]]:
    """The first and last of each run of numbers that follow each other."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges


class RichProgress(Progress):
    """Bars on the terminal (stderr), one a stage, with time left and PSNR."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(stderr=True)
        self._bars = RichBars(
            TextColumn("{task.description:<22}", markup=False),
            BarColumn(bar_width=28),
            TextColumn("{task.completed:>6.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[quality]}"),
            console=self._console,
            refresh_per_second=4,
        )
        self._task: TaskID | None = None

    def stage(self, name: str, total: int, done: int = 0) -> None:
        for task in self._bars.task_ids[: 1 - MOST_BARS]:  # the newest must stay in sight
            self._bars.remove_task(task)
        shown = f"{self._shot} {name}" if self._shot else name
        self._task = self._bars.add_task(visible(shown), total=total, completed=done, quality="")
        super().stage(name, total, done)

    def expect(self, total: int) -> None:
        super().expect(total)
        if self._task is not None:
            self._bars.update(self._task, total=total)

    def caution(self, text: str) -> None:
        super().caution(text)
        self._print(Text.assemble(("caution:", "yellow"), " ", visible(self._about(text))))

    def message(self, text: str) -> None:
        super().message(text)
        self._print(Text(visible(self._about(text))))

    def _about(self, text: str) -> str:
        return f"{self._shot}: {text}" if self._shot else text

    def _print(self, text: Text) -> None:
        """As it is: a name with brackets or colons is no markup, and no emoji."""
        with suppress(OSError):  # the terminal may be gone; what follows must still be saved
            self._bars.console.print(text, highlight=False)

    def _show(self, done: int, psnr: float | None, preview: Path | None) -> None:
        fields = {} if psnr is None else {"quality": f"PSNR {psnr:.2f} dB"}
        self._bars.update(self._task, completed=done, **fields)

    def __enter__(self) -> "RichProgress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._bars.stop()
