"""What every estimator is timed against: one backpropagation through samples whose derivative is that of their mean."""

import equinox as eqx
import jax
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from hnca.experiments.data.images import Images, binarise
from hnca.experiments.experiment import Experiment
from hnca.experiments.training.minibatches import TrainingState, apply_gradient


def backpropagation_update(
    experiment: Experiment,
    static: PyTree,
    optimiser: optax.GradientTransformation,
    images: Images,
    state: TrainingState,
    batch: Int[Array, " batch"],
    key: Key[Array, ""],
) -> tuple[TrainingState, Float[Array, ""]]:
    """Learns from one batch by backpropagation and returns the new state and the objective's mean."""
    binarise_key, sample_key = jax.random.split(key)
    pixels = binarise(binarise_key, images.pixels[batch])
    chosen = images._replace(pixels=pixels, labels=images.labels[batch])

    def mean_objective(parameters: PyTree) -> Float[Array, ""]:
        return experiment.differentiable(eqx.combine(parameters, static), chosen, sample_key)

    value, gradient = jax.value_and_grad(mean_objective)(state.parameters)
    return apply_gradient(state, gradient, state.estimator, optimiser), value
