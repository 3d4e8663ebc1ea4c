"""What the user watches while an experiment runs: a live bar on a terminal, plain lines elsewhere."""

from abc import ABC, abstractmethod
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from hnca.experiments.records import Row


class Display(ABC):
    """Shows the progress of one run; entered when the run begins and left when it ends."""

    @abstractmethod
    def epoch(self, row: Row, updates_per_second: float, seconds_left: float) -> None:
        """Shows one epoch's measurements (means over seeds) and the pace."""

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class PlainDisplay(Display):
    """One line an epoch."""

    def __init__(self, console: Console, label: str, epochs: int):
        self._console, self._label, self._epochs = console, label, epochs

    def epoch(self, row: Row, updates_per_second: float, seconds_left: float) -> None:
        accuracy = f"accuracy: train {row['train_accuracy']:.4f}, test {row['test_accuracy']:.4f}"
        pace = _pace(updates_per_second, seconds_left)
        self._console.print(f"{self._label}  epoch {row['epoch']}/{self._epochs}  {accuracy}  {pace}", soft_wrap=True)


class LiveDisplay(Display):
    """A bar that moves with every epoch."""

    def __init__(self, console: Console, label: str, epochs: int):
        # Narrow enough for a terminal of 80 columns.
        bar = BarColumn(bar_width=6)
        columns = TextColumn("{task.description}"), bar, MofNCompleteColumn(), TextColumn("{task.fields[note]}")
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task(label, total=epochs, note="compiling")

    def epoch(self, row: Row, updates_per_second: float, seconds_left: float) -> None:
        accuracy = f"train {row['train_accuracy']:.3f} test {row['test_accuracy']:.3f}"
        self._progress.update(self._task, advance=1, note=f"{accuracy} {_pace(updates_per_second, seconds_left)}")

    def __enter__(self) -> "LiveDisplay":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def display(console: Console, label: str, epochs: int) -> Display:
    """Returns the display that fits where the output goes."""
    return (LiveDisplay if console.is_terminal else PlainDisplay)(console, label, epochs)


def _pace(updates_per_second: float, seconds_left: float) -> str:
    left = str(timedelta(seconds=round(seconds_left))).removeprefix("0:")
    return f"{updates_per_second:,.0f} updates/s, {left} left"
