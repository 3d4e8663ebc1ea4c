"""Trains one run: the first process decides, writes and shows, the others take part."""

import time
from collections.abc import Callable, Iterator
from functools import cached_property

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree
from rich.console import Console

from hnca.experiments.data.images import Images, on_device
from hnca.experiments.experiment import Experiment
from hnca.experiments.runs.display import display
from hnca.experiments.runs.environment import environment
from hnca.experiments.runs.events import EventFiles, Events, NoEvents
from hnca.experiments.runs.failures import RunFailure, told
from hnca.experiments.runs.first_parameters import FirstParameters
from hnca.experiments.runs.forecast import Forecast
from hnca.experiments.runs.measured import means_of, rows_of
from hnca.experiments.runs.plan import Run
from hnca.experiments.runs.recording import Recorder
from hnca.experiments.settings import TrainingSettings
from hnca.experiments.store import Claim, Row
from hnca.experiments.training.devices import Placement
from hnca.experiments.training.epochs import Epoch, Start, train
from hnca.experiments.training.finiteness import first_to_leave
from hnca.experiments.training.minibatches import TrainingState
from hnca.experiments.training.processes import followed, from_the_first, goes_on, next_run


class Trainer:
    """Trains runs of one experiment, one after another, all with the same images and devices."""

    def __init__(
        self,
        experiment: Experiment,
        settings: TrainingSettings,
        placement: Placement,
        console: Console,
        forecast: Forecast,
        start: FirstParameters | None,
    ):
        """Loads no images yet.

        Args:
            experiment: what to train.
            settings: with what.
            placement: on which devices.
            console: where progress is shown.
            forecast: of all runs.
            start: the parameters that the runs begin with; None if they draw their own.
        """
        self._experiment, self._settings = experiment, settings
        self._placement, self._console, self._forecast = placement, console, forecast
        self._start = start

    @cached_property
    def images(self) -> tuple[Images, Images]:
        """The training and the test images, on the devices."""
        return self._placement.broadcast(on_device(self._settings.data.load()))

    def lead(self, place: int, run: Run, claim: Claim) -> None:
        """Trains a run as the first process: from where it stands on disk, writing each epoch as it ends.

        Args:
            place: of the run among those of the command, which the other processes know it by.
            run: which one.
            claim: on it, held.

        Raises:
            SettingsError: if what is on disk is another run.
            RunFailure: if it cannot go on.
        """
        overwrite = self._settings.overwrite
        with told(run.directory), Recorder(run, claim, overwrite, environment()) as recorder:
            for notice in recorder.notices:
                self._say(notice)
            if self._start is not None and recorder.epoch == 0:
                self._say(f"{run.directory.name}: begins with {self._start.directory}, epochs {self._start.epochs}")
            next_run(place, recorder.epoch)

            def restore(state: TrainingState) -> TrainingState:
                return from_the_first(recorder.restore(state if self._start is None else self._start.begun(state)))

            self._write(run, recorder, self._epochs(run, recorder.epoch, restore))

    def follow(self, run: Run, after: int) -> None:
        """Takes part in the training of a run that the first process leads, which is at epoch `after`."""
        for epoch in self._epochs(run, after, from_the_first):
            self._placement.collect(epoch.state)
            if not goes_on():
                return

    def _epochs(self, run: Run, after: int, restore: Callable[[TrainingState], TrainingState]) -> Iterator[Epoch]:
        start = Start(after, restore, 0 if self._start is None else self._start.epochs)
        estimator = self._experiment.estimator(run.estimator)
        return train(self._experiment, self._settings, run.layers, estimator, *self.images, self._placement, start)

    def _write(self, run: Run, recorder: Recorder, epochs: Iterator[Epoch]) -> None:
        updates = self._updates * self._settings.seeds
        experiment, label = self._experiment, f"{run.estimator}, {run.layers} {self._experiment.units}"
        shown = display(self._console, label, run.epochs, experiment.headings, experiment.digits, recorder.epoch)
        with shown, self._events(run, recorder.epoch) as events:
            started = time.perf_counter()
            for number, epoch in enumerate(epochs, start=recorder.epoch + 1):
                seconds = time.perf_counter() - started
                state = self._placement.collect(epoch.state)
                with followed():
                    rows = rows_of(experiment, run.estimator, run.layers, number, epoch, seconds)
                    self._require_finite(run, number, epoch, rows)
                    recorder.write_rows(rows)
                    if number == run.epochs:
                        experiment.draw_pictures(self._first_seed(state, epoch), self.images[1], run.directory)
                    if self._is_kept(run, number):
                        recorder.write_state(number, state)
                    else:
                        # A copy, since the next epoch uses up the memory of the state.
                        recorder.hold_state(number, jax.tree.map(np.array, state))
                events.write(rows)
                # The first epoch's time has the compilation in it, and says nothing of what is left.
                is_first = number == recorder.epoch + 1
                left = None if is_first else seconds * (run.epochs - number)
                shown.epoch(number, means_of(rows, experiment), updates / seconds, left)
                if not is_first or number == run.epochs:
                    self._say(self._forecast.line(run, number, seconds))
                started = time.perf_counter()

    def _events(self, run: Run, after: int) -> Events:
        return EventFiles(run.directory, after) if self._settings.running.tensorboard else NoEvents()

    def _say(self, line: str | None) -> None:
        if line is not None:
            self._console.print(line, soft_wrap=True, highlight=False)

    @property
    def _updates(self) -> int:
        """Of an epoch."""
        return len(self.images[0].labels) // self._settings.batch_size

    def _is_kept(self, run: Run, number: int) -> bool:
        return number == run.epochs or number % self._settings.running.checkpoint_every == 0

    def _first_seed(self, state: PyTree, epoch: Epoch) -> PyTree:
        """Returns the modules that the first seed trained, for this process alone."""
        static = eqx.filter(epoch.trained, eqx.is_inexact_array, inverse=True)
        return eqx.combine(jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[0]), state.parameters), static)

    def _require_finite(self, run: Run, number: int, epoch: Epoch, rows: list[Row]) -> None:
        """Raises a RunFailure, naming layer and epoch, if parameters or measurements have left the finite numbers."""
        left = first_to_leave(epoch.state.parameters, np.asarray(epoch.finite))
        if left is not None:
            layer, share = left
            what = f"the gradient of {layer} is not finite in {self._when(number, share)}"
        elif not all(np.isfinite(value) for row in rows for value in row.measured.values() if value is not None):
            what = f"the variance of the gradient, or what else is measured, is not finite in epoch {number}"
        else:
            return
        raise RunFailure(
            f"--learning-rate {self._settings.learning_rate}: {run.directory.name}: {what}; the checkpoints before it "
            f"are kept; expected a smaller rate"
        )

    def _when(self, number: int, share: float) -> str:
        if self._settings.running.check_finite:
            return f"update {round(share * self._updates) + 1} of epoch {number}"
        return f"epoch {number} (--check-finite tells which layer was first)"
