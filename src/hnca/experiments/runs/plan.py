"""What a command is to train: a run for every depth and estimator, each in a directory of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hnca.experiments.data import Facts
from hnca.experiments.registry import settings_class
from hnca.experiments.runs.failures import refused
from hnca.experiments.settings import SettingsError, TrainingSettings
from hnca.experiments.store import (
    Configuration,
    StoredRunError,
    differences,
    has_results,
    newest_epoch,
    progress,
    stored_runs,
)


class Run(NamedTuple):
    """One network a seed, all trained together, with one estimator at one depth.

    Attributes:
        layers: the depth.
        estimator: the estimator's name on the command line.
        directory: where it is written: `<layers>-<estimator>`.
        configuration: all that determines its numbers.
        seeds: how many.
        epochs: how many.
    """

    layers: int
    estimator: str
    directory: Path
    configuration: Configuration
    seeds: int
    epochs: int

    def is_finished(self) -> bool:
        """Returns whether all its epochs are on disk.

        A checkpoint of the last epoch is read and verified (28 MB for five VAEs of 3 layers); without one, nothing is.
        """
        if newest_epoch(self.directory) < self.epochs:
            return False
        return progress(self.directory, self.seeds).epoch >= self.epochs


def runs_of(settings: TrainingSettings, facts: Facts, start: Mapping[str, Any] | None = None) -> list[Run]:
    """Returns the runs that the settings ask for, those of all shards.

    Args:
        settings: of the experiment.
        facts: of the data.
        start: which run's parameters they begin with, as JSON; None if they draw their own.
    """
    return [
        _run(settings, facts, start, layers, estimator)
        for layers in settings.layers
        for estimator in settings.all_estimators
    ]


def settings_of(configuration: Configuration) -> TrainingSettings:
    """Returns settings of which a run with that configuration, as `config.json` holds it, is the only depth.

    Raises:
        SettingsError: if this version of hnca knows no such settings.
    """
    values = configuration["settings"].items()
    try:
        kind = settings_class(configuration["experiment"])
        given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values}
        return kind(layers=(configuration["layers"],), **given)
    except (KeyError, TypeError) as error:
        raise SettingsError(f"the configuration is of another version of hnca ({error})") from None


def of_shard(runs: Sequence[Run], shard: str | None) -> list[Run]:
    """Returns every N-th run, beginning with the I-th, for a shard `I/N`; all of them for None."""
    if shard is None:
        return list(runs)
    first, step = map(int, shard.split("/"))
    return list(runs[first - 1 :: step])


def refuse_other_settings(out: Path, runs: Sequence[Run], overwrite: bool) -> None:
    """Raises a SettingsError if a run below that directory was started with other settings.

    The figures show all runs there together, so those that this command leaves alone have to agree with it too.

    Args:
        out: the directory.
        runs: what is to be trained.
        overwrite: whether the runs of these names may be replaced.
    """
    wanted = {run.directory: run.configuration for run in runs}
    with refused(out):
        try:
            runs_there = stored_runs(out, wanted if overwrite else ())
        except StoredRunError as error:
            remedy = "its directory removed" if overwrite else "--overwrite to begin it anew, or its directory removed"
            raise SettingsError(f"{error}; expected {remedy}") from None
    for directory in wanted:
        if directory not in runs_there and not overwrite and has_results(directory):
            raise SettingsError(
                f"--out {out}: {directory.name} has results but no config.json, which says what they are of; expected "
                "it put back, another directory, or --overwrite to begin anew"
            )
    for directory, stored in runs_there.items():
        # Of a run with another name only what it shares with these can be asked.
        own = {"layers": stored["layers"], "estimator": stored["estimator"]}
        found = differences(stored, wanted.get(directory, {**runs[0].configuration, **own}))
        if found:
            remedy = ", or --overwrite to begin anew" if directory in wanted else ""
            raise SettingsError(
                f"--out {out}: {directory.name} was started with other settings ({'; '.join(found)}); "
                f"expected the same, or another directory{remedy}"
            )


def _run(settings: TrainingSettings, facts: Facts, start: Mapping[str, Any] | None, layers: int, estimator: str) -> Run:
    configuration = {
        "experiment": settings.experiment,
        "layers": layers,
        "estimator": estimator,
        "data": facts._asdict(),
        "settings": settings.determining(),
        **({} if start is None else {"start": dict(start)}),
    }
    directory = settings.out / f"{layers}-{estimator}"
    return Run(layers, estimator, directory, configuration, settings.seeds, settings.epochs)
