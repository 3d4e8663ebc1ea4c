"""Mean and variance of an estimator's gradient over many draws on one batch, at fixed parameters."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators import Estimator
from hnca.experiments.data.images import Images
from hnca.experiments.experiment import Credited, Experiment
from hnca.experiments.settings.compare import GROUPS
from hnca.variance import mean_gradient_variance

Layers = dict[str, PyTree]
"""For every layer of the network a pytree like its conditional's parameters."""

Draw = Callable[[PyTree, Key[Array, ""]], Credited]
"""Takes the estimator's state and a key and returns an estimate."""

Measurer = Callable[[PyTree, Images, Key[Array, ""]], "Drawn"]
"""Takes modules, a batch and a key and returns what draws on them have shown."""

_FOR_THE_CENTRE = 8


class Drawn(NamedTuple):
    """What many draws have shown.

    Attributes:
        means: of the gradient, by layer, over each of `GROUPS` equal parts of the draws, stacked along a first axis.
        variance: of one draw's gradient (a batch mean), by layer and parameter.
        within_batch: for every layer the biased variance over the per-example gradients of a batch, mean over the
            layer's parameters and over draws (Young 2022).
        draws: how many.
    """

    means: Layers
    variance: Layers
    within_batch: dict[str, Float[Array, ""]]
    draws: int


def measurer(experiment: Experiment, estimator: Estimator, adaptation: int, draws: int) -> Measurer:
    """Returns a function of networks, a batch and a key that draws; it is compiled once, for all networks and batches.

    Args:
        experiment: what is trained.
        estimator: the estimator.
        adaptation: calls before the draws, in which its state settles.
        draws: how many, a multiple of `GROUPS`.
    """

    @eqx.filter_jit
    def measured(trained: PyTree, batch: Images, key: Key[Array, ""]) -> Drawn:
        draw = draw_of(experiment, estimator, trained, batch)
        adapt_key, draw_key = jax.random.split(key)
        state = adapted(draw, experiment.estimator_state(trained, estimator), adapt_key, adaptation)
        return moments(draw, state, draw_key, draws)

    return measured


def draw_of(experiment: Experiment, estimator: Estimator, trained: PyTree, batch: Images) -> Draw:
    """Returns a function that makes one estimate.

    Args:
        experiment: what is trained.
        estimator: the estimator.
        trained: the modules.
        batch: binarised images and labels; only the estimator's noise differs from draw to draw.
    """

    def draw(state: PyTree, key: Key[Array, ""]) -> Credited:
        sample_key, estimator_key = jax.random.split(key)
        return experiment.estimate(trained, estimator, batch, (sample_key, estimator_key), state)

    return draw


def adapted(draw: Draw, state: PyTree, key: Key[Array, ""], updates: int) -> PyTree:
    """Returns the estimator's state after so many calls at fixed parameters: its baselines have settled."""

    def step(state: PyTree, one: Key[Array, ""]) -> tuple[PyTree, None]:
        return draw(state, one).estimate.state, None

    return _scanned(step, state, jax.random.split(key, updates))


def moments(draw: Draw, state: PyTree, key: Key[Array, ""], draws: int) -> Drawn:
    """Returns mean and variance of the gradient over independent draws with the estimator's state held.

    Args:
        draw: makes one estimate.
        state: the estimator's.
        key: for the draws.
        draws: how many, a multiple of `GROUPS`.
    """
    centre_key, key = jax.random.split(key)
    centre = _mean_of_a_few(draw, state, centre_key)

    def step(sums: tuple[PyTree, ...], one: Key[Array, ""]) -> tuple[tuple[PyTree, ...], None]:
        credited = draw(state, one)
        gradient = jax.tree.map(jnp.subtract, _by_layer(credited), centre)
        new = gradient, jax.tree.map(jnp.square, gradient), _within_batch(credited)
        return jax.tree.map(jnp.add, sums, new), None

    zeros = jax.tree.map(jnp.zeros_like, centre)
    start = zeros, zeros, {name: jnp.zeros(()) for name in centre}

    def of_group(_: None, keys: Key[Array, " draws"]) -> tuple[None, PyTree]:
        sums = jax.lax.scan(step, start, keys)[0]
        return None, jax.tree.map(lambda leaf: leaf * (GROUPS / draws), sums)

    keys = jax.random.split(key, draws).reshape(GROUPS, -1)
    groups, second, within = jax.jit(lambda each: jax.lax.scan(of_group, None, each)[1])(keys)
    first, second, within = (jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), t) for t in (groups, second, within))
    variance = jax.tree.map(lambda s, m: (s - m**2) * (draws / (draws - 1)), second, first)
    return Drawn(jax.tree.map(lambda g, c: g + c[None], groups, centre), variance, within, draws)


def _mean_of_a_few(draw: Draw, state: PyTree, key: Key[Array, ""]) -> Layers:
    """A point near the mean: about it squares lose no digits."""

    def step(total: Layers | None, one: Key[Array, ""]) -> tuple[Layers, None]:
        return jax.tree.map(jnp.add, total, _by_layer(draw(state, one))), None

    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(_one(draw), state, key))
    total = _scanned(step, zeros, jax.random.split(key, _FOR_THE_CENTRE))
    return jax.tree.map(lambda leaf: leaf / _FOR_THE_CENTRE, total)


def _one(draw: Draw) -> Callable[[PyTree, Key[Array, ""]], Layers]:
    return lambda state, key: _by_layer(draw(state, key))


def _within_batch(credited: Credited) -> dict[str, Float[Array, ""]]:
    network, estimate = credited.network, credited.estimate
    return {
        name: mean_gradient_variance(network, estimate.trace, {name: credit}, estimate.gradient, estimate.passes)
        for name, credit in credited.credits.items()
    }


def _by_layer(credited: Credited) -> Layers:
    layers = credited.estimate.gradient.layers
    return {name: eqx.filter(layer.conditional, eqx.is_inexact_array) for name, layer in layers.items()}


def _scanned(step: Callable[..., tuple[PyTree, None]], start: PyTree, keys: Key[Array, " draws"]) -> PyTree:
    return jax.jit(lambda begin, each: jax.lax.scan(step, begin, each)[0])(start, keys)
