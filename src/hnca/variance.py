"""How much the gradient varies from example to example, measured from the credits.

The gradient of one example by a dense weight is the outer product of parent features and credit, so its second moment
over the batch is `(x**2)^T (c**2)`, and no per-example gradient is ever formed. Other conditionals fall back on
per-example gradients, a chunk of the batch at a time. Layers that share parameters are each measured on their own.
"""

import math
from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.conditionals import Dense, Free
from hnca.network import Network, Trace
from hnca.units import Conditional

_CHUNK = 16


def gradient_variance(network: Network, trace: Trace, credits: Mapping[str, Array]) -> dict[str, Conditional]:
    """Returns the biased variance over the batch of the per-example gradients, for every parameter.

    Divide by the batch size for the variance of the batch mean, which the DisARM line of work reports.

    Args:
        network: the network.
        trace: its forward pass.
        credits: for every layer of interest the credit on its logits.

    Returns:
        For every layer in `credits` its conditional with the variance in the place of each parameter.
    """
    result = {}
    for name, credit in credits.items():
        features, flat = _flat_batch(network, trace, name, credit)
        conditional = network.layers[name].conditional
        first, second = _moments(conditional, features, flat)
        result[name] = jax.tree.map(lambda mean, square: square - mean**2, first, second)
    return result


def mean_gradient_variance(
    network: Network, trace: Trace, credits: Mapping[str, Array], gradient: Network
) -> Float[Array, ""]:
    """Returns the mean of `gradient_variance` over all parameters of the layers in `credits`.

    For dense layers at the price of a few sums: the sum over the weights of `(x**2)^T (c**2)` factors.

    Args:
        network: the network.
        trace: its forward pass.
        credits: for every layer of interest the credit on its logits.
        gradient: the batch-mean gradient which these credits make, as in `Estimate.gradient`.
    """
    total, count = jnp.zeros((), network.dtype), 0
    for name, credit in credits.items():
        conditional = network.layers[name].conditional
        features, flat = _flat_batch(network, trace, name, credit)
        parameters = jax.tree.leaves(eqx.filter(gradient.layers[name].conditional, eqx.is_inexact_array))
        total += _sum_of_second_moments(conditional, features, flat)
        total -= sum(jnp.sum(leaf**2) for leaf in parameters)
        count += sum(leaf.size for leaf in parameters)
    return total / count


def _sum_of_second_moments(
    conditional: Conditional, features: tuple[Array, ...], credit: Float[Array, "batch out_features"]
) -> Float[Array, ""]:
    if isinstance(conditional, Dense | Free):
        inputs = sum((jnp.sum(f**2, axis=-1) for f in features), jnp.zeros((), credit.dtype))
        bias = 0 if conditional.bias is None else 1
        return jnp.mean((inputs + bias) * jnp.sum(credit**2, axis=-1))
    _, second = _moments(conditional, features, credit)
    return sum((jnp.sum(leaf) for leaf in jax.tree.leaves(second)), jnp.zeros((), credit.dtype))


def _moments(
    conditional: Conditional, features: tuple[Array, ...], credit: Float[Array, "batch out_features"]
) -> tuple[Conditional, Conditional]:
    """Returns the first and second moment over the batch of the per-example gradient, in the conditional's shape."""
    if isinstance(conditional, Dense | Free):
        return _affine_moment(conditional, features, credit, 1), _affine_moment(conditional, features, credit, 2)
    return _materialised_moments(conditional, features, credit)


def _affine_moment(conditional: Dense | Free, features: tuple[Array, ...], credit: Array, power: int) -> Conditional:
    batch = credit.shape[0]
    moment = eqx.filter(conditional, eqx.is_inexact_array)
    if conditional.bias is not None:
        moment = eqx.tree_at(lambda c: c.bias, moment, jnp.mean(credit**power, axis=0))
    if isinstance(conditional, Dense):
        weights = tuple((f**power).T @ (credit**power) / batch for f in features)
        moment = eqx.tree_at(lambda c: c.weights, moment, weights)
    return moment


def _materialised_moments(
    conditional: Conditional, features: tuple[Array, ...], credit: Array
) -> tuple[Conditional, Conditional]:
    batch = credit.shape[0]
    chunk = math.gcd(batch, _CHUNK)

    def example_gradient(example: tuple[tuple[Array, ...], Array]) -> Conditional:
        example_features, example_credit = example
        return eqx.filter_grad(lambda c: jnp.sum(c(example_features, ()) * example_credit))(conditional)

    def add_chunk(sums: tuple, examples: tuple) -> tuple[tuple, None]:
        gradients = jax.vmap(example_gradient)(examples)
        first = jax.tree.map(lambda s, g: s + jnp.sum(g, axis=0), sums[0], gradients)
        second = jax.tree.map(lambda s, g: s + jnp.sum(g**2, axis=0), sums[1], gradients)
        return (first, second), None

    zeros = jax.tree.map(jnp.zeros_like, eqx.filter(conditional, eqx.is_inexact_array))
    chunks = jax.tree.map(lambda a: a.reshape(batch // chunk, chunk, *a.shape[1:]), (features, credit))
    sums, _ = jax.lax.scan(add_chunk, (zeros, zeros), chunks)
    first, second = (jax.tree.map(lambda s: s / batch, moment) for moment in sums)
    return first, second


def _flat_batch(
    network: Network, trace: Trace, name: str, credit: Array
) -> tuple[tuple[Array, ...], Float[Array, "batch out_features"]]:
    """Returns the parents' features and the credit with all batch axes made one."""
    axes = len(trace.batch_shape)
    batch = math.prod(trace.batch_shape)
    parents = network.layers[name].conditional.parents
    features = tuple(network.features(trace.values, parent) for parent in parents)
    flat = tuple(f.reshape(batch, *f.shape[axes:]) for f in features)
    return flat, credit.reshape(batch, -1)
