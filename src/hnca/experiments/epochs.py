"""Trains one network a seed, all together, epoch by epoch."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from hnca.estimators import Estimator
from hnca.experiments.devices import Placement
from hnca.experiments.experiment import Experiment, Measures
from hnca.experiments.images import Images
from hnca.experiments.settings import TrainingSettings
from hnca.training import TrainingState, ascent, initial_state, train_epoch


class Epoch(NamedTuple):
    """What an epoch leaves behind.

    Attributes:
        measures: `[seeds]` each; the test's only if the epoch was tested.
        trained: the modules after the epoch, every array with a leading axis of seeds, divided over the devices.
    """

    measures: dict[str, Float[Array, " seeds"]]
    trained: PyTree


def train(
    experiment: Experiment,
    settings: TrainingSettings,
    layers: int,
    method: Estimator,
    train_images: Images,
    test_images: Images,
    placement: Placement,
) -> Iterator[Epoch]:
    """Trains one network a seed, all together, and yields the measurements of each epoch as it ends.

    Args:
        experiment: what to train.
        settings: rates and counts.
        layers: how many hidden layers.
        method: the estimator.
        train_images: every image is seen once an epoch, in a fresh order.
        test_images: what the test is measured on, after the epochs that the settings name.
        placement: where seeds and batches are; the images are everywhere.
    """
    optimiser = ascent(settings.learning_rate)
    keys = jax.vmap(jax.random.key)(jnp.arange(settings.seeds))
    modules = jax.vmap(lambda key: experiment.build(layers, jax.random.fold_in(key, 0)))(keys)
    static = eqx.filter(modules, eqx.is_inexact_array, inverse=True)
    states = jax.vmap(lambda m: initial_state(m, experiment.estimator_state(m, method), optimiser))(modules)
    states = placement.divide(states)
    over_seeds = partial(placement.over_seeds, in_axes=(0, 0, None))

    @partial(jax.jit, donate_argnums=0, out_shardings=(placement.by_seed, placement.everywhere))
    @over_seeds
    def epoch(state: TrainingState, key: Key[Array, ""], images: Images) -> tuple[TrainingState, Measures]:
        def step(
            state: TrainingState, batch: Int[Array, " batch"], key: Key[Array, ""]
        ) -> tuple[TrainingState, Measures]:
            return experiment.update(static, method, optimiser, images, state, placement.divided(batch), key)

        return train_epoch(step, state, jax.random.split(key)[0], len(images.labels), settings.batch_size)

    @partial(jax.jit, out_shardings=placement.everywhere)
    @over_seeds
    def test(parameters: PyTree, key: Key[Array, ""], images: Images) -> Measures:
        return experiment.test(eqx.combine(parameters, static), images, jax.random.split(key)[1])

    for number in range(1, settings.epochs + 1):
        epoch_keys = placement.divide(jax.vmap(lambda key: jax.random.fold_in(key, number))(keys))  # noqa: B023
        states, measures = epoch(states, epoch_keys, train_images)
        if settings.is_tested(number):
            measures = {**measures, **test(states.parameters, epoch_keys, test_images)}
        yield Epoch(jax.block_until_ready(dict(measures)), eqx.combine(states.parameters, static))
