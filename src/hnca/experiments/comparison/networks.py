"""The networks that estimators are compared on: trained for the purpose, or loaded from a run."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
from jaxtyping import PyTree

from hnca.experiments.data.images import Images
from hnca.experiments.experiment import Experiment
from hnca.experiments.methods import estimator_of
from hnca.experiments.runs.plan import settings_of
from hnca.experiments.runs.running import experiment_of
from hnca.experiments.settings import CompareSettings, SettingsError, TrainingSettings
from hnca.experiments.store import StoredRunError, read_configuration
from hnca.experiments.timing.updates import Shape
from hnca.experiments.trained.loading import load
from hnca.experiments.training.devices import Placement
from hnca.experiments.training.epochs import train


class Networks(NamedTuple):
    """Networks of one depth.

    Attributes:
        experiment: of which they are.
        shape: depth, width and the batch on which they are compared.
        trained: after how many epochs, and the modules of every seed.
    """

    experiment: Experiment
    shape: Shape
    trained: Iterator[tuple[int, list[PyTree]]]


def networks_of(settings: CompareSettings, images: Images) -> Iterator[Networks]:
    """Yields the networks to compare on, a depth at a time.

    Raises:
        SettingsError: if the run cannot be loaded, or was trained on something else.
    """
    if settings.run is not None:
        yield _of_run(settings, settings.run)
        return
    facts = settings.data.facts(settings.batch_size)
    for layers in settings.layers:
        training = settings.training(layers)
        experiment = experiment_of(training, facts)
        shape = Shape(layers, settings.width, settings.batch_size, 1)
        yield Networks(experiment, shape, _trained(experiment, layers, training, settings.epochs, images))


def _of_run(settings: CompareSettings, run: Path) -> Networks:
    facts = settings.data.facts(settings.batch_size)
    try:
        models = [load(run, seed) for seed in range(settings.seeds)]
        configuration = read_configuration(run)
    except OSError as error:
        raise SettingsError(f"--run {error.filename or run}: {error.strerror or error}") from None
    except (ValueError, StoredRunError) as error:
        raise SettingsError(f"--run {error}") from None
    if configuration is None:
        raise SettingsError(f"--run {run}: expected the directory of a run, with its config.json")
    kind, dataset = configuration["experiment"], configuration["data"]
    if kind != settings.experiment:
        raise SettingsError(f"--experiment {settings.experiment}: {run} is a {kind}; expected the same")
    if dataset["content"] != facts.content:
        raise SettingsError(f"--dataset {facts.name}: {run} was trained on {dataset['name']}; expected the same")
    training = replace(settings_of(configuration), batch_size=settings.batch_size, data=settings.data)
    settings.check_fit(training.width, configuration["settings"].get("categories"))
    shape = Shape(configuration["layers"], training.width, settings.batch_size, 1)
    trained = [model.network if model.objective is None else (model.network, model.objective) for model in models]
    return Networks(experiment_of(training, facts), shape, iter([(models[0].epoch, trained)]))


def _trained(
    experiment: Experiment,
    layers: int,
    training: TrainingSettings,
    wanted: tuple[int, ...],
    images: Images,
) -> Iterator[tuple[int, list[PyTree]]]:
    """Yields what is trained after each of the epochs that are asked for, as every seed has it."""
    seeds = range(training.seeds)
    if 0 in wanted:
        yield 0, [experiment.build(layers, jax.random.fold_in(jax.random.key(0), seed)) for seed in seeds]
    if not max(wanted):
        return
    untested = jax.tree.map(lambda leaf: leaf[:100], images)
    estimator = estimator_of("hnca+baseline")
    epochs = train(
        experiment, training, layers, estimator, images, untested, Placement(1, training.seeds, training.batch_size)
    )
    for number, epoch in enumerate(epochs, start=1):
        if number in wanted:
            yield number, [_of_seed(epoch.trained, seed) for seed in seeds]


def _of_seed(trained: PyTree, seed: int) -> PyTree:
    # The sum is a copy: the next epoch uses the memory up.
    return jax.tree.map(lambda leaf: leaf[seed] + 0 if eqx.is_array(leaf) else leaf, trained)
