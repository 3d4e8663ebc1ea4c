"""Runs the benchmark from its settings to its table and its rows on disk."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hnca.experiments.data import load_mnist
from hnca.experiments.data.images import on_device
from hnca.experiments.data.mnist import MNIST
from hnca.experiments.experiment import Experiment
from hnca.experiments.figures.saving import MARKS
from hnca.experiments.files import require_own, write_atomically
from hnca.experiments.methods import names
from hnca.experiments.registry import experiment_class, settings_class
from hnca.experiments.runs.environment import device_line
from hnca.experiments.settings import BenchSettings, SettingsError
from hnca.experiments.timing.chart import draw_depths
from hnca.experiments.timing.messages import MessageTime, time_messages
from hnca.experiments.timing.updates import Shape, UpdateTime, time_updates

_MARK = b'"milliseconds_per_'
"""What the rows of a benchmark have in them."""


_OPTIONS = ("entropy", "encoder", "decoder")
"""Those of an experiment's settings that the benchmark has too."""


def run_benchmark(settings: BenchSettings, console: Console) -> None:
    """Times what the settings ask for, prints a table as each shape is done, and writes the rows.

    Raises:
        SettingsError: if the file cannot be written.
    """
    _refuse_others_files(settings)
    console.print(f"{device_line()}; medians of {settings.repeats}")
    if settings.messages:
        times = time_messages(settings.repeats)
        console.print(_table("message kernel", [time._asdict() for time in times]))
        _write(settings, times)
        return
    images, _ = on_device(load_mnist())
    rows: list[UpdateTime] = []
    for name, *sizes in itertools.product(
        settings.experiments, settings.layers, settings.width, settings.batch_size, settings.seeds
    ):
        shape = Shape(*sizes)
        estimators = [e for e in settings.estimators if e in names(settings_class(name).learns_from)]
        experiment = _experiment(name, shape.width, settings)
        new = time_updates(experiment, shape, estimators, images, settings.updates, settings.repeats)
        title = f"{name}: {shape.layers} layers of {shape.width}, batch {shape.batch_size}, {shape.seeds} seed(s)"
        shown = ("estimator", "measure_variance", "milliseconds_per_update", "ratio_to_backprop", "peak_bytes")
        console.print(_table(title, [{field: getattr(row, field) for field in shown} for row in new]))
        rows += new
        _write(settings, rows)
    if settings.plot is not None:
        with _told("plot", settings.plot):
            draw_depths(rows, settings.plot)


def _experiment(name: str, width: int, settings: BenchSettings) -> Experiment:
    kind = settings_class(name)
    known = {field.name for field in fields(kind)}
    options: dict[str, Any] = {each: getattr(settings, each) for each in _OPTIONS if each in known}
    return experiment_class(name).of(kind(width=width, **options), MNIST.facts)


def _table(title: str, rows: Sequence[Mapping[str, object]]) -> Table:
    table = Table(title=title)
    for field in rows[0]:
        is_text = isinstance(rows[0][field], str)
        table.add_column(field.replace("_", " "), justify="left" if is_text else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(_shown, row.values()))
    return table


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _refuse_others_files(settings: BenchSettings) -> None:
    """Raises a SettingsError, before anything is timed, if a file would be replaced that was not written here."""
    wanted = {"json": (settings.json, _MARK)}
    if settings.plot is not None:
        wanted["plot"] = settings.plot, MARKS[settings.plot.suffix.removeprefix(".")]
    for flag, (path, mark) in wanted.items():
        if path is not None and not settings.overwrite:
            with _told(flag, path):
                require_own(path, mark)


def _write(settings: BenchSettings, rows: Sequence[UpdateTime | MessageTime]) -> None:
    if settings.json is not None:
        with _told("json", settings.json):
            write_atomically(settings.json, [(json.dumps(row._asdict()) + "\n").encode() for row in rows])


@contextmanager
def _told(flag: str, path: Path) -> Iterator[None]:
    """Makes the directory of a file, and turns a failure to write into what the user is told."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise SettingsError(f"--{flag} {path}: cannot be written ({error.strerror or error})") from None
