"""What `hnca figure` does: every run that a figure of the paper needs, and the figure."""

from collections.abc import Sequence
from functools import partial

from rich.console import Console

from hnca.experiments.methods import label
from hnca.experiments.runs.failures import refused
from hnca.experiments.runs.plan import Run, refuse_other_settings, runs_of
from hnca.experiments.runs.running import Drawing, experiment_of, run
from hnca.experiments.settings import FigureSettings
from hnca.experiments.store import Row, distinct, progress


def run_figure(settings: FigureSettings, console: Console) -> None:
    """Trains what is not on disk yet and draws the figure, or only lists the runs.

    Raises:
        SettingsError: as `hnca.experiments.runs.running.run`.
        RunFailure: likewise.
    """
    training = settings.training
    if not settings.dry_run:
        run(training, console, Drawing((settings.number,), partial(_remark, settings)))
        return
    facts = training.data.facts(training.batch_size)
    experiment_of(training, facts)
    runs = runs_of(training, facts)
    refuse_other_settings(training.out, runs, settings.overwrite)
    for one in runs:
        console.print(_state(one), soft_wrap=True, highlight=False)


def _remark(settings: FigureSettings, rows: Sequence[Row]) -> str:
    """Returns what the caption says of a figure of these rows, which may be of more runs than this command's."""
    shown = distinct(rows, "epoch"), distinct(rows, "seed"), distinct(rows, "layers")
    epochs, seeds, depths = map(len, shown)
    labels = {label(row.estimator) for row in rows}
    return settings.remark(epochs, seeds, sum(label(name) in labels for name in settings.all_estimators), depths)


def _state(run: Run) -> str:
    with refused(run.directory):
        done = progress(run.directory, run.seeds).epoch
    return f"{run.directory}: {run.seeds} seed(s), {min(done, run.epochs)} of {run.epochs} epochs"
