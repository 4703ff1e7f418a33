"""What is running and what is left, on standard error: live on a terminal, else line by line."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from edgeopt.schema.base import printable
from edgeopt.schema.event import Event
from edgeopt.schema.job_words import job_in_words
from edgeopt.schema.measurement import figure
from edgeopt.schema.quantities import find

if TYPE_CHECKING:
    from rich.progress import TaskID

COUNTED = {  # a figure of progress that says what is counted -> the unit
    "epochs": "steps",
    "samples": "samples",
    "taught": "samples answered by the teacher",
}
UNITS = {"score": "samples", "race": "processes"}  # kind of job -> what its progress counts
VERBS = {
    "open": "reading", "data": "loading", "pass": "running", "check": "checking",
    "score": "scoring", "race": "racing",
}  # fmt: skip


@dataclass
class Tally:
    """How far a phase has come; a total that is known from the start stays."""

    total: int = 0
    known: bool = False
    ended: int = 0
    cached: int = 0
    failed: int = 0

    @classmethod
    def of(cls, phase: Event) -> Tally:
        """The tally of a phase that begins."""
        return cls(total=int(phase.total or 0), known=phase.total is not None)

    def plan(self, event: Event) -> None:
        """Count jobs that were planned."""
        self.total += 0 if self.known else int(event.total or 0)

    def end(self, event: Event) -> None:
        """Count an ended job."""
        self.ended += 1
        self.cached += bool(event.data.get("cached"))
        self.failed += event.data.get("status") != "ok"

    def __str__(self) -> str:
        counts = ((self.cached, "from the store"), (self.failed, "failed"))
        return ", ".join(
            [f"{self.ended}/{self.total}", *(f"{n} {word}" for n, word in counts if n)]
        )


TELL_S = 30.0  # a job that takes long says how far it is this often


class PlainLines:
    """A line for each phase, each job that took time, each failure and each note.

    A job that takes long says at times how far it is. Jobs that the store answered have no line
    each: how many they were is told before the next line.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._start: float | None = None  # when the first line was told: the run's own beginning
        self._tally = Tally()
        self._kept = 0  # answered by the store, and not told of yet
        self._kinds: dict[str, str] = {}  # of running jobs
        self._last_message: dict[str, float] = {}  # job -> when it last said how far it is

    def __call__(self, event: Event) -> None:
        if event.what == "phase":
            self._tell_kept()
            self._tally = Tally.of(event)
            self._line(event.text)
        elif event.what == "start":
            self._kinds[event.job] = str(event.data.get("kind"))
            self._last_message[event.job] = time.monotonic()
        elif event.what == "progress" and event.total:
            self._on_progress(event)
        elif event.what == "plan":
            self._tally.plan(event)
        elif event.what == "note":
            self._line(f"note: {event.text}")
        elif event.what == "end":
            self._on_end(event)

    def _on_end(self, event: Event) -> None:
        if event.data.get("cached"):
            self._tally.end(event)
            self._kept += 1
            return
        self._tell_kept()
        self._tally.end(event)
        self._line(f"  {self._tally.ended}/{self._tally.total} {ending(event)}")

    def _tell_kept(self) -> None:
        """Say how many jobs were answered by the store since the last line."""
        if self._kept:
            kept, self._kept = self._kept, 0
            told = f"({kept} from the store: kept from earlier runs)"
            self._line(f"  {self._tally.ended}/{self._tally.total} {told}")

    def _on_progress(self, event: Event) -> None:
        now = time.monotonic()
        if now - self._last_message.setdefault(event.job, now) >= TELL_S:
            self._last_message[event.job] = now
            parts = [
                how_far(event, self._kinds.get(event.job, "")),
                *filter(None, [progress_message(event.data)]),
            ]
            self._line(f"  {job_in_words(event.job)}: {', '.join(parts)}")

    def close(self) -> None:
        """Tell what was not told yet."""
        self._tell_kept()

    def _line(self, text: str) -> None:
        now = time.monotonic()
        self._start = now if self._start is None else self._start
        self._stream.write(f"[{now - self._start:6.1f}s] {printable(text)}\n")
        self._stream.flush()


class Live:
    """A bar for the phase and a line for each running job, redrawn in place."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[message]}", markup=False, style="dim"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._progress.start()
        self._phase: TaskID | None = None
        self._text = ""
        self._tally = Tally()
        self._jobs: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        {
            "phase": self._on_phase, "plan": self._on_plan, "start": self._on_start,
            "progress": self._on_progress, "end": self._on_end, "note": self._on_note,
        }[event.what](event)  # fmt: skip

    def close(self) -> None:
        """Say how the last phase ended and give the terminal back."""
        self._settle()
        self._progress.stop()

    def _on_phase(self, event: Event) -> None:
        self._settle()
        self._tally, self._text = Tally.of(event), printable(event.text)
        self._phase = self._progress.add_task(self._text, total=None, message="")

    def _on_plan(self, event: Event) -> None:
        self._tally.plan(event)
        self._show()

    def _on_start(self, event: Event) -> None:
        verb = VERBS.get(str(event.data.get("kind")), "running")
        name = self._fitting(f"  {verb} {printable(job_in_words(event.job))}")
        self._jobs[event.job] = self._progress.add_task(name, total=None, message="")

    def _on_progress(self, event: Event) -> None:
        if event.job in self._jobs:
            self._progress.update(
                self._jobs[event.job],
                completed=event.done or 0,
                total=event.total,
                message=printable(progress_message(event.data))[:48],
            )

    def _on_end(self, event: Event) -> None:
        task = self._jobs.pop(event.job, None)
        if task is not None:
            self._progress.remove_task(task)
        self._tally.end(event)
        if event.data.get("status") not in ("ok", "skipped"):
            self._say(ending(event), "red")
        self._show()

    def _on_note(self, event: Event) -> None:
        self._say(f"note: {event.text}", "dim")

    def _show(self) -> None:
        if self._phase is not None:
            tally = self._tally
            self._progress.update(
                self._phase,
                total=tally.total or None,
                completed=tally.ended,
                message=str(tally),
            )

    def _settle(self) -> None:
        """Turn the phase that ends into a line that stays."""
        if self._phase is None:
            return
        self._progress.remove_task(self._phase)
        self._phase = None
        tally = f" ({self._tally})" if self._tally.total else ""
        self._say(f"{self._text}{tally}", "")

    def _say(self, text: str, style: str) -> None:
        self._console.print(Text(printable(text), style))

    def _fitting(self, text: str) -> str:
        room = max(20, self._console.width - 50)
        return (
            text if len(text) <= room else f"{text[: room // 3]}...{text[-(room * 2 // 3) + 3 :]}"
        )


def how_far(event: Event, kind: str) -> str:
    """``27 of 156 steps``, or the share in percent where nobody says what is counted."""
    done, total = event.done or 0.0, event.total or 1.0
    told = (COUNTED[name] for name in event.data if name in COUNTED)
    unit = next(told, UNITS.get(kind, ""))
    most = "up to " if kind == "race" else ""
    return f"{done:,.0f} of {most}{total:,.0f} {unit}" if unit else f"{done / total:.0%}"


def progress_message(figures: Mapping[str, object]) -> str:
    """Figures of progress in a line; seconds left as minutes."""
    shown = dict(figures)
    left, epoch, epochs = (shown.pop(name, None) for name in ("left_s", "epoch", "epochs"))
    parts = [f"epoch {epoch:g} of {epochs:g}"] if epochs else []
    parts += [
        _figure(name, value, trains=bool(epochs))
        for name, value in shown.items()
        if name not in COUNTED
    ]
    if isinstance(left, float | int):
        parts.append(f"{left:.0f} s left" if left < 100 else f"{left / 60:.0f} min left")
    return ", ".join(parts)


def _figure(name: str, value: object, *, trains: bool) -> str:
    """A figure and its name; in training, which samples it is of."""
    plain = name.removeprefix("validation_")
    side = "validation " if plain != name else "training " if trains else ""
    known = find(plain)
    if isinstance(value, float) and known is not None and known.unit == "fraction":
        return f"{side}{plain} {figure(value, 'fraction')}"
    return f"{side}{plain} {value:.4g}"


def ending(event: Event) -> str:
    """How a job ended, in a line."""
    seconds = event.data.get("seconds") or 0.0
    status, job = event.data.get("status"), job_in_words(event.job)
    if status == "ok":
        return f"{job} ({'from the store' if event.data.get('cached') else f'{seconds:.1f} s'})"
    error = event.data.get("error") or {}
    return f"{job} {status}: {error.get('what', '')}".splitlines()[0]


def progress() -> PlainLines | Live:
    """The kind of progress that suits standard error."""
    return Live() if sys.stderr.isatty() else PlainLines()
