"""Runs an experiment from its settings to its metrics, its table and its figures."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from hnca.experiments.data import Facts, titled
from hnca.experiments.experiment import Experiment
from hnca.experiments.figures.curves import draw_figure
from hnca.experiments.figures.tables import final_table
from hnca.experiments.registry import experiment_class
from hnca.experiments.runs.environment import device_line
from hnca.experiments.runs.failures import RunFailure, partners_there, refused
from hnca.experiments.runs.first_parameters import first_parameters
from hnca.experiments.runs.forecast import Forecast
from hnca.experiments.runs.plan import Run, of_shard, refuse_other_settings, runs_of
from hnca.experiments.runs.shares import Share
from hnca.experiments.runs.trainer import Trainer
from hnca.experiments.settings import SettingsError, TrainingSettings
from hnca.experiments.store import Claim, ClaimedError, Row, complete, newest_epoch, read_rows
from hnca.experiments.training.devices import Placement, is_writer
from hnca.experiments.training.processes import NOTHING_LEFT, join, next_run


class Drawing(NamedTuple):
    """What to draw at the end.

    Attributes:
        numbers: of the paper's figures; None for those that the rows are for.
        remark: what their captions say of the rows besides.
    """

    numbers: tuple[int, ...] | None = None
    remark: Callable[[Sequence[Row]], str] = lambda _: ""

    def on(self, facts: Facts) -> "Drawing":
        """Returns the same, with a remark that names the data too."""
        data = titled(facts.name, facts.train_images, facts.validation_images)
        return self._replace(remark=lambda rows: ", ".join(filter(None, (data, self.remark(rows)))))


EVERYTHING = Drawing()


def run(settings: TrainingSettings, console: Console, drawing: Drawing = EVERYTHING) -> None:
    """Trains every depth with every estimator, as far as they are not on disk, and draws the figures.

    Of several processes that train one network together the first writes and prints, and the others take part in the
    training only. Several such commands can share a directory: each takes the next run that nobody has claimed.

    Args:
        settings: of the experiment.
        console: where progress is shown.
        drawing: what to draw at the end.

    Raises:
        SettingsError: if the output directory cannot be used, the devices or processes are not there, or other
            processes are at work on all that is left.
        RunFailure: if training cannot go on.
    """
    start = first_parameters(settings)
    join(settings.processes)
    placement = Placement(settings.processes.devices, settings.seeds, settings.batch_size)
    facts = settings.data.facts(settings.batch_size)
    experiment = experiment_of(settings, facts)
    runs = runs_of(settings, facts, start and start.described)
    if start is not None:
        for each in runs:
            start.require_fit(each)
    trainer = Trainer(experiment, settings, placement, console, Forecast(runs), start)
    with partners_there(settings.out):
        if not is_writer():
            _follow(trainer, runs)
            return
        try:
            share = _lead(trainer, settings, runs, placement, console)
        except (SettingsError, RunFailure):
            next_run(NOTHING_LEFT, 0)
            raise
        next_run(NOTHING_LEFT, 0)
    left = _left(settings, runs, share)
    if left is None:
        _draw(experiment, settings, runs, drawing.on(facts), console)
    else:
        console.print(left, soft_wrap=True, highlight=False)


def experiment_of(settings: TrainingSettings, facts: Facts) -> Experiment:
    """Returns the experiment that the settings are for, on the data of these facts.

    Raises:
        SettingsError: if the data are not fit for it.
    """
    try:
        return experiment_class(settings.experiment).of(settings, facts)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _lead(
    trainer: Trainer, settings: TrainingSettings, runs: Sequence[Run], placement: Placement, console: Console
) -> Share:
    """Trains, one after another, the runs that nobody else has claimed, and returns who did what."""
    refuse_other_settings(settings.out, runs, settings.overwrite)
    own = of_shard(runs, settings.running.shard)
    if settings.overwrite or any(newest_epoch(run.directory) < run.epochs for run in own):
        # Before any run has a directory, or a claim.
        settings.data.require()
    tell = partial(console.print, soft_wrap=True, highlight=False)
    share = Share(own, settings.overwrite, tell)
    taken = _next(share, settings.out)
    for run in own:
        if run.directory.name in share.finished:
            more = newest_epoch(run.directory) > run.epochs
            told = f", after {newest_epoch(run.directory)} epochs" if more else ""
            console.print(f"{run.directory.name}: finished before{told}", highlight=False)
    if taken is not None:
        console.print(f"{device_line()}; {placement}; writing {settings.out}", soft_wrap=True)
    while taken is not None:
        run, claim = taken
        with claim:
            trainer.lead(runs.index(run), run, claim)
        taken = _next(share, settings.out)
    return share


def _next(share: Share, out: Path) -> tuple[Run, Claim] | None:
    with refused(out):
        return share.take()


def _follow(trainer: Trainer, runs: Sequence[Run]) -> None:
    """Takes part in the runs that the first process chooses."""
    place, after = next_run(NOTHING_LEFT, 0)
    while place != NOTHING_LEFT:
        trainer.follow(runs[place], after)
        place, after = next_run(NOTHING_LEFT, 0)


def _left(settings: TrainingSettings, runs: Sequence[Run], share: Share) -> str | None:
    """Returns a line that says what is left to others, or None if all is done.

    Raises:
        SettingsError: if they are at work on all of it.
    """
    known = [*share.finished, *(run.directory.name for run in share.done)]
    left = [run.directory.name for run in runs if run.directory.name not in known and not run.is_finished()]
    if not left:
        return None
    elsewhere = "; ".join(
        f"{name} is claimed by {owner or 'another process'}" for name, owner in share.elsewhere.items()
    )
    if elsewhere and not share.done:
        raise SettingsError(f"--out {settings.out}: {elsewhere}; expected to wait for it, or another directory")
    others = elsewhere or "not of this shard"
    return f"not finished: {', '.join(left)} ({others}); whoever finishes last draws the figures"


def _draw(
    experiment: Experiment, settings: TrainingSettings, runs: Sequence[Run], drawing: Drawing, console: Console
) -> None:
    fields = (*experiment.train_fields, *experiment.test_fields)
    rows = complete(read_rows(settings.out, [run.directory for run in runs]), fields)
    console.print(final_table(rows, experiment.headings, experiment.digits))
    numbers = experiment.figures(rows) if drawing.numbers is None else drawing.numbers
    try:
        with refused(settings.out), Claim(settings.out).take():
            remark = drawing.remark(rows)
            of = [(number, experiment.panels[number], experiment.units) for number in numbers]
            paths = [path for each in of for path in draw_figure(*each, rows, settings.out, remark)]
    except ClaimedError as error:
        console.print(f"figures: {error.owner or 'another process'} draws them", soft_wrap=True, highlight=False)
        return
    console.print(f"figures: {', '.join(map(str, paths))}", soft_wrap=True)
