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


def gradient_variance(
    network: Network, trace: Trace, credits: Mapping[str, Array], passes: int = 1
) -> dict[str, Conditional]:
    """Returns the biased variance over the batch of the per-example gradients, for every parameter.

    Divide by the batch size for the variance of the batch mean, which the DisARM line of work reports.

    Args:
        network: the network.
        trace: its forward pass.
        credits: for every layer of interest the credit on its logits; for all that the gradient has, the sum of
            `Estimate.credits` and `hnca.direct_credits`.
        passes: as `Estimate.passes`: how many passes, stacked along the first axis, an example's gradient is the mean
            of.

    Returns:
        For every layer in `credits` its conditional with the variance in the place of each parameter.
    """
    result = {}
    for name, credit in credits.items():
        features, flat = _flat_batch(network, trace, name, credit, passes)
        conditional = network.layers[name].conditional
        first, second = _moments(conditional, features, flat)
        result[name] = jax.tree.map(lambda mean, square: square - mean**2, first, second)
    return result


def mean_gradient_variance(
    network: Network, trace: Trace, credits: Mapping[str, Array], gradient: Network, passes: int = 1
) -> Float[Array, ""]:
    """Returns the mean of `gradient_variance` over all parameters of the layers in `credits`.

    For dense layers at the price of a few sums: the sum over the weights of `(x**2)^T (c**2)` factors.

    Args:
        network: the network.
        trace: its forward pass.
        credits: for every layer of interest the credit on its logits, as in `gradient_variance`.
        gradient: the batch-mean gradient which these credits make, as in `Estimate.gradient`.
        passes: as in `gradient_variance`.
    """
    total, count = jnp.zeros((), network.dtype), 0
    for name, credit in credits.items():
        conditional = network.layers[name].conditional
        features, flat = _flat_batch(network, trace, name, credit, passes)
        parameters = jax.tree.leaves(eqx.filter(gradient.layers[name].conditional, eqx.is_inexact_array))
        total += _sum_of_second_moments(conditional, features, flat)
        total -= sum(jnp.vdot(leaf, leaf) for leaf in parameters)  # a CPU sums products faster than squares
        count += sum(leaf.size for leaf in parameters)
    return total / count


def _sum_of_second_moments(
    conditional: Conditional, features: tuple[Array, ...], credit: Float[Array, "passes batch out_features"]
) -> Float[Array, ""]:
    if isinstance(conditional, Dense | Free):
        inputs = sum((_products(f) for f in features), jnp.zeros((), credit.dtype))
        bias = 0 if conditional.bias is None else 1
        return jnp.sum(jnp.mean((inputs + bias) * _products(credit), axis=-1)) / len(credit) ** 2
    _, second = _moments(conditional, features, credit)
    return sum((jnp.sum(leaf) for leaf in jax.tree.leaves(second)), jnp.zeros((), credit.dtype))


def _products(vectors: Float[Array, "passes batch size"]) -> Float[Array, "passes passes batch"]:
    """Returns the inner products of every two passes of an example."""
    if len(vectors) == 1:
        # A product with ones, which a CPU does faster than a sum along the rows.
        return (vectors**2 @ jnp.ones(vectors.shape[-1], vectors.dtype))[None]
    # Not as the sum of a broadcast product: XLA's CPU compiler (0.10.2) gets that wrong inside a scan under `vmap`.
    return jnp.einsum("pbi,qbi->pqb", vectors, vectors)


def _moments(
    conditional: Conditional, features: tuple[Array, ...], credit: Float[Array, "passes batch out_features"]
) -> tuple[Conditional, Conditional]:
    """Returns the first and second moment over the batch of the per-example gradient, in the conditional's shape."""
    if isinstance(conditional, Dense | Free):
        return _affine_first_moment(conditional, features, credit), _affine_second_moment(conditional, features, credit)
    return _materialised_moments(conditional, features, credit)


def _affine_first_moment(conditional: Dense | Free, features: tuple[Array, ...], credit: Array) -> Conditional:
    flat = credit.reshape(-1, credit.shape[-1])
    weights = tuple(f.reshape(-1, f.shape[-1]).T @ flat / len(flat) for f in features)
    return _with_parameters(conditional, weights, jnp.mean(flat, axis=0))


def _affine_second_moment(conditional: Dense | Free, features: tuple[Array, ...], credit: Array) -> Conditional:
    """The square of an example's mean over passes is a sum over every two passes."""
    passes, batch, _ = credit.shape
    pairs = (credit[:, None] * credit[None]).reshape(passes**2 * batch, -1)
    squares = tuple((f[:, None] * f[None]).reshape(passes**2 * batch, -1) for f in features)
    scale = 1 / (passes**2 * batch)
    return _with_parameters(conditional, tuple(s.T @ pairs * scale for s in squares), jnp.sum(pairs, axis=0) * scale)


def _with_parameters(conditional: Dense | Free, weights: tuple[Array, ...], bias: Array) -> Conditional:
    result = eqx.filter(conditional, eqx.is_inexact_array)
    if conditional.bias is not None:
        result = eqx.tree_at(lambda c: c.bias, result, bias)
    return eqx.tree_at(lambda c: c.weights, result, weights) if isinstance(conditional, Dense) else result


def _materialised_moments(
    conditional: Conditional, features: tuple[Array, ...], credit: Array
) -> tuple[Conditional, Conditional]:
    batch = credit.shape[1]
    chunk = math.gcd(batch, _CHUNK)

    def example_gradient(example: tuple[tuple[Array, ...], Array]) -> Conditional:
        """Mean over the passes of one example."""

        def product(c: Conditional) -> Array:
            return jnp.mean(jax.vmap(lambda f, a: jnp.sum(c(f, ()) * a))(*example))

        return eqx.filter_grad(product)(conditional)

    def add_chunk(sums: tuple, examples: tuple) -> tuple[tuple, None]:
        gradients = jax.vmap(example_gradient)(examples)
        first = jax.tree.map(lambda s, g: s + jnp.sum(g, axis=0), sums[0], gradients)
        second = jax.tree.map(lambda s, g: s + jnp.sum(g**2, axis=0), sums[1], gradients)
        return (first, second), None

    zeros = jax.tree.map(jnp.zeros_like, eqx.filter(conditional, eqx.is_inexact_array))
    by_example = jax.tree.map(lambda a: jnp.moveaxis(a, 0, 1), (features, credit))
    chunks = jax.tree.map(lambda a: a.reshape(batch // chunk, chunk, *a.shape[1:]), by_example)
    sums, _ = jax.lax.scan(add_chunk, (zeros, zeros), chunks)
    first, second = (jax.tree.map(lambda s: s / batch, moment) for moment in sums)
    return first, second


def _flat_batch(
    network: Network, trace: Trace, name: str, credit: Array, passes: int
) -> tuple[tuple[Array, ...], Float[Array, "passes batch out_features"]]:
    """Returns the parents' features and the credit with all batch axes made one, after the passes."""
    axes = len(trace.batch_shape)
    batch = math.prod(trace.batch_shape) // passes
    parents = network.layers[name].conditional.parents
    features = tuple(network.features(trace.values, parent) for parent in parents)
    flat = tuple(f.reshape(passes, batch, *f.shape[axes:]) for f in features)
    return flat, credit.reshape(passes, batch, -1)
