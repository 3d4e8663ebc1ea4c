"""What every estimator is timed against: one backpropagation through samples whose derivative is that of their mean."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from hnca.experiments.data.images import Images, binarise
from hnca.experiments.experiment import Experiment
from hnca.experiments.training.minibatches import TrainingState, apply_gradient
from hnca.experiments.vae import AutoEncoder
from hnca.network import Network, Trace


def straight_through_update(
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
        return _OBJECTIVES[experiment.name](eqx.combine(parameters, static), chosen, sample_key)

    value, gradient = jax.value_and_grad(mean_objective)(state.parameters)
    return apply_gradient(state, gradient, state.estimator, optimiser), value


def relaxed_trace(network: Network, key: Key[Array, ""], inputs: dict[str, Array]) -> Trace:
    """Samples a network of Bernoulli layers, with the derivative of each sample taken to be that of its mean."""
    values, logits = dict(inputs), {}
    batch_shape = inputs["image"].shape[:-1]
    for name, layer_key in zip(network.order, jax.random.split(key, len(network.order)), strict=True):
        layer = network.layers[name]
        logits[name] = network.layer_logits(values, name, batch_shape)
        mean = layer.mean(logits[name])
        values[name] = mean + jax.lax.stop_gradient(layer.sample(layer_key, logits[name]) - mean)
    return Trace(values, logits, batch_shape)


def _bound(trained: AutoEncoder, batch: Images, key: Key[Array, ""]) -> Float[Array, ""]:
    encoder, objective = trained
    return jnp.mean(objective.value(encoder, relaxed_trace(encoder, key, {"image": batch.pixels})))


def _probability_of_label(trained: Network, batch: Images, key: Key[Array, ""]) -> Float[Array, ""]:
    """What backpropagation needs, and a bandit's reward does not tell."""
    hidden = {name: layer for name, layer in trained.layers.items() if name != "action"}
    trace = relaxed_trace(Network(hidden, dict(trained.inputs)), key, {"image": batch.pixels})
    probabilities = jax.nn.softmax(trained.layer_logits(trace.values, "action", trace.batch_shape)[:, 0])
    return jnp.mean(jnp.take_along_axis(probabilities, batch.labels[:, None], axis=-1))


_OBJECTIVES: dict[str, Callable[[Any, Images, Array], Array]] = {"vae": _bound, "bandit": _probability_of_label}
