"""What the user watches while an experiment runs: a live bar on a terminal, plain lines elsewhere."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

_BAR = 6
"""The width of the bar."""


class Display(ABC):
    """Shows the progress of one run; entered when the run begins and left when it ends."""

    @abstractmethod
    def epoch(
        self, number: int, means: Mapping[str, float], updates_per_second: float, seconds_left: float | None
    ) -> None:
        """Shows one epoch's measurements, means over seeds by field, and the pace.

        Args:
            number: of the epoch.
            means: the measurements.
            updates_per_second: of all seeds together.
            seconds_left: until the run ends; None after an epoch in which the program was compiled.
        """

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class PlainDisplay(Display):
    """One line an epoch."""

    def __init__(self, console: Console, label: str, epochs: int, headings: Mapping[str, str], digits: int, done: int):
        self._console, self._label, self._epochs = console, label, epochs
        self._headings, self._digits = headings, digits

    def epoch(
        self, number: int, means: Mapping[str, float], updates_per_second: float, seconds_left: float | None
    ) -> None:
        shown = [f"{self._headings[field]} {value:.{self._digits}f}" for field, value in means.items()]
        pace = _pace(updates_per_second, seconds_left)
        line = f"{self._label}  epoch {number}/{self._epochs}  {', '.join(shown)}  {pace}"
        self._console.print(line, soft_wrap=True)


class LiveDisplay(Display):
    """A bar that moves with every epoch, with as much of the measurements beside it as the terminal has room for."""

    def __init__(self, console: Console, label: str, epochs: int, headings: Mapping[str, str], digits: int, done: int):
        bar = BarColumn(bar_width=_BAR)
        columns = TextColumn("{task.description}"), bar, MofNCompleteColumn(), TextColumn("{task.fields[note]}")
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task(label, total=epochs, completed=done, note="compiling")
        self._digits = min(digits, 3)
        self._room = console.width - len(label) - _BAR - len(f"{epochs}/{epochs}") - 3

    def epoch(
        self, number: int, means: Mapping[str, float], updates_per_second: float, seconds_left: float | None
    ) -> None:
        shown = [f"{field.split('_')[0]} {value:.{self._digits}f}" for field, value in list(means.items())[:2]]
        left = _left(seconds_left)
        notes = [
            f"{' '.join(shown)} {_pace(updates_per_second, seconds_left)}",
            f"{' '.join(shown)} {left}",
            f"{shown[0]} {left}",
            shown[0],
        ]
        fitting = [note for note in notes if len(note) <= self._room]
        self._progress.update(self._task, advance=1, note=fitting[0] if fitting else "")

    def __enter__(self) -> "LiveDisplay":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def display(
    console: Console, label: str, epochs: int, headings: Mapping[str, str], digits: int, done: int = 0
) -> Display:
    """Returns the display that fits where the output goes.

    Args:
        console: where it goes.
        label: of the run.
        epochs: how many there will be.
        headings: what the fields are called.
        digits: their decimals.
        done: how many epochs are behind.
    """
    return (LiveDisplay if console.is_terminal else PlainDisplay)(console, label, epochs, headings, digits, done)


def _pace(updates_per_second: float, seconds_left: float | None) -> str:
    return f"{updates_per_second:,.0f} updates/s, {_left(seconds_left)}"


def _left(seconds: float | None) -> str:
    return "with compilation" if seconds is None else f"{_duration(seconds)} left"


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds))).removeprefix("0:")
