"""Trains one network a seed, all together, epoch by epoch."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from hnca.estimators import Estimator
from hnca.experiments.data.images import Images
from hnca.experiments.experiment import Experiment, Measures
from hnca.experiments.settings import TrainingSettings
from hnca.experiments.training.devices import Placement
from hnca.experiments.training.finiteness import finite_leaves, not_looked_at
from hnca.experiments.training.minibatches import TrainingState, initial_state, train_epoch, update


class Epoch(NamedTuple):
    """What an epoch leaves behind.

    Attributes:
        measures: `[seeds]` each; the test's only if the epoch was tested.
        finite: for each array of parameters the share of the updates after which all its numbers were finite; 0 or
            1 if only the last update was looked at.
        state: after the epoch, every array with a leading axis of seeds, divided over the devices. The next epoch
            uses its memory up.
        trained: the modules after the epoch, likewise.
    """

    measures: dict[str, Float[Array, " seeds"]]
    finite: Float[Array, "seeds leaves"]
    state: TrainingState
    trained: PyTree


class Start(NamedTuple):
    """Where training begins.

    Attributes:
        epoch: the last one that is behind it.
        restore: takes the state before the first epoch and returns the state after that one.
        elsewhere: how many epochs the first parameters were trained for before, whose keys are not used again.
    """

    epoch: int = 0
    restore: Callable[[TrainingState], TrainingState] = lambda state: state
    elsewhere: int = 0


BEGINNING = Start()


def train(
    experiment: Experiment,
    settings: TrainingSettings,
    layers: int,
    estimator: Estimator,
    train_images: Images,
    test_images: Images,
    placement: Placement,
    start: Start = BEGINNING,
) -> Iterator[Epoch]:
    """Trains one network a seed, all together, and yields the measurements of each epoch as it ends.

    Args:
        experiment: what to train.
        settings: rates and counts.
        layers: how many hidden layers.
        estimator: the estimator.
        train_images: every image is seen once an epoch, in a fresh order.
        test_images: what the test is measured on, after the epochs that the settings name.
        placement: where seeds and batches are; the images are everywhere.
        start: where to begin; the numbers that follow do not depend on it, since the keys of an epoch come from the
            seeds and its number alone.
    """
    updates = len(train_images.labels) // settings.batch_size
    optimiser = experiment.optimiser(settings, updates)
    keys = _seed_keys(settings)
    static, states = beginning(experiment, settings, layers, estimator, train_images)
    states = placement.divide(start.restore(states))
    look = finite_leaves if settings.running.check_finite else not_looked_at
    over_seeds = partial(placement.over_seeds, in_axes=(0, 0, None, None))
    test_over_seeds = partial(placement.over_seeds, in_axes=(0, 0, None))

    @partial(jax.jit, donate_argnums=0, out_shardings=(placement.by_seed, placement.everywhere, placement.everywhere))
    @over_seeds
    def epoch(
        state: TrainingState, key: Key[Array, ""], images: Images, past: Float[Array, ""]
    ) -> tuple[TrainingState, Measures, Float[Array, " leaves"]]:
        def step(
            state: TrainingState, batch: Int[Array, " batch"], key: Key[Array, ""]
        ) -> tuple[TrainingState, tuple[Measures, Float[Array, " leaves"]]]:
            batch = placement.divided(batch)
            state, measures = update(experiment.at(past), static, estimator, optimiser, images, state, batch, key)
            return state, (measures, look(state.parameters))

        order_key = jax.random.split(key)[0]
        state, means = train_epoch(step, state, order_key, len(images.labels), settings.batch_size)
        measures, finite = means
        return state, measures, jnp.where(finite < 1, finite, finite_leaves(state.parameters))

    @partial(jax.jit, out_shardings=placement.everywhere)
    @test_over_seeds
    def test(parameters: PyTree, key: Key[Array, ""], images: Images) -> Measures:
        return experiment.test(eqx.combine(parameters, static), images, jax.random.split(key)[1])

    for number in range(start.epoch + 1, settings.epochs + 1):
        place = start.elsewhere + number
        epoch_keys = placement.divide(jax.vmap(lambda key: jax.random.fold_in(key, place))(keys))  # noqa: B023
        states, measures, finite = epoch(states, epoch_keys, train_images, jnp.asarray(number - 1, jnp.float32))
        if settings.is_tested(number):
            measures = {**measures, **test(states.parameters, epoch_keys, test_images)}
        measures = dict(measures)
        _wait_for(measures)
        yield Epoch(measures, finite, states, eqx.combine(states.parameters, static))


def beginning(
    experiment: Experiment,
    settings: TrainingSettings,
    layers: int,
    estimator: Estimator,
    images: Images | None = None,
) -> tuple[PyTree, TrainingState]:
    """Returns what of the modules is never trained, and the state before the first epoch, both with an axis of seeds.

    Args:
        experiment: what is trained.
        settings: rates and counts.
        layers: how many hidden layers.
        estimator: the estimator.
        images: to train on, which the first parameters may depend on; None where only their shapes matter.
    """
    optimiser = experiment.optimiser(settings, 1)
    modules = jax.vmap(lambda key: experiment.build(layers, jax.random.fold_in(key, 0)))(_seed_keys(settings))
    if images is not None:
        modules = jax.vmap(lambda m: experiment.started(m, images))(modules)
    state = jax.vmap(lambda m: initial_state(m, experiment.estimator_state(m, estimator), optimiser))(modules)
    return eqx.filter(modules, eqx.is_inexact_array, inverse=True), state


def _seed_keys(settings: TrainingSettings) -> Key[Array, " seeds"]:
    return jax.vmap(jax.random.key)(jnp.arange(settings.seeds))


def _wait_for(measures: PyTree) -> None:
    """Returns when they are computed; unlike JAX's own waiting, which it leaves to a thread, it can be interrupted."""
    computed = threading.Event()

    def wait() -> None:
        with suppress(Exception):  # it is raised again below
            jax.block_until_ready(measures)
        computed.set()

    threading.Thread(target=wait, daemon=True).start()
    computed.wait()
    jax.block_until_ready(measures)
