"""Training by minibatches: one epoch as one compiled scan over updates."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, Key, PyTree

from hnca._optax import step
from hnca.estimators import Estimator
from hnca.experiments.data.images import Images, binarise
from hnca.experiments.experiment import Experiment, Measures
from hnca.variance import mean_gradient_variance


class TrainingState(NamedTuple):
    """What an update changes; arrays only, so that it can be carried through a scan and stacked over seeds.

    Attributes:
        parameters: the array leaves of what is trained.
        optimiser: the state of the Optax optimiser.
        estimator: the state of the estimator (its baselines).
    """

    parameters: PyTree
    optimiser: optax.OptState
    estimator: PyTree


Update = Callable[[TrainingState, Int[Array, " batch"], Key[Array, ""]], tuple[TrainingState, PyTree]]


def initial_state(trained: PyTree, estimator_state: PyTree, optimiser: optax.GradientTransformation) -> TrainingState:
    """Returns the state before the first update of the modules `trained` (a network, or several things together)."""
    parameters = eqx.filter(trained, eqx.is_inexact_array)
    return TrainingState(parameters, optimiser.init(parameters), estimator_state)


def apply_gradient(
    state: TrainingState, gradient: PyTree, estimator_state: PyTree, optimiser: optax.GradientTransformation
) -> TrainingState:
    """Returns the state after one step along the gradient."""
    return TrainingState(*step(optimiser, gradient, state.optimiser, state.parameters), estimator_state)


def update(
    experiment: Experiment,
    static: PyTree,
    estimator: Estimator,
    optimiser: optax.GradientTransformation,
    images: Images,
    state: TrainingState,
    batch: Int[Array, " batch"],
    key: Key[Array, ""],
) -> tuple[TrainingState, Measures]:
    """Learns from one batch and returns the new state, the first of `train_fields`, `gradient_variance` and what
    else the experiment tells of the batch.

    Args:
        experiment: what is trained.
        static: what of the trained modules is no array of numbers to learn.
        estimator: the estimator.
        optimiser: goes uphill.
        images: all of the training images.
        state: before the update.
        batch: indices of the images.
        key: for binarisation, samples and the estimator.
    """
    binarise_key, *keys = jax.random.split(key, 3)
    trained = eqx.combine(state.parameters, static)
    binary = Images(binarise(binarise_key, images.pixels[batch]), images.labels[batch])
    found = experiment.estimate(trained, estimator, binary, tuple(keys), state.estimator)
    estimate = found.estimate
    variance = mean_gradient_variance(found.network, estimate.trace, found.credits, estimate.gradient, estimate.passes)
    value = {experiment.train_fields[0]: jnp.mean(estimate.value), "gradient_variance": variance}
    parameters = eqx.filter(found.gradient, eqx.is_inexact_array)
    return apply_gradient(state, parameters, estimate.state, optimiser), {**value, **found.measures}


def train_epoch(
    update: Update, state: TrainingState, key: Key[Array, ""], examples: int, batch_size: int
) -> tuple[TrainingState, PyTree]:
    """Visits every example once in a fresh random order and returns the new state and the measurements' means.

    Args:
        update: takes (state, the batch's indices, a key) and returns the new state and measurements (arrays).
        state: where to begin.
        key: for the order and for the updates.
        examples: how many there are; what does not fill a last batch is left for another epoch.
        batch_size: how many an update sees.
    """
    order_key, update_key = jax.random.split(key)
    updates = examples // batch_size
    order = jax.random.permutation(order_key, examples)[: updates * batch_size]
    batches = order.reshape(updates, batch_size), jax.random.split(update_key, updates)
    state, measurements = jax.lax.scan(lambda carry, batch: update(carry, *batch), state, batches)
    return state, jax.tree.map(lambda of_updates: jnp.mean(of_updates, axis=0), measurements)
