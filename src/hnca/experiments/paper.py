"""What `hnca figure` does: every run that a figure of the paper needs, and the figure."""

from rich.console import Console

from hnca.experiments.plan import Run, refuse_other_settings, runs_of
from hnca.experiments.runs import Drawing, run
from hnca.experiments.settings import FigureSettings
from hnca.experiments.store import progress


def run_figure(settings: FigureSettings, console: Console) -> None:
    """Trains what is not on disk yet and draws the figure, or only lists the runs.

    Raises:
        SettingsError: as `hnca.experiments.runs.run`.
        RunFailure: likewise.
    """
    training = settings.training
    if not settings.dry_run:
        run(training, console, Drawing((settings.number,), settings.remark))
        return
    runs = runs_of(training, training.data.facts(training.batch_size))
    refuse_other_settings(training.out, runs, settings.overwrite)
    for one in runs:
        console.print(_state(one), soft_wrap=True, highlight=False)


def _state(run: Run) -> str:
    done = progress(run.directory, run.seeds).epoch
    return f"{run.directory}: {run.seeds} seed(s), {min(done, run.epochs)} of {run.epochs} epochs"
