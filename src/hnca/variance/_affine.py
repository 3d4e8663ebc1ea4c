"""Moments of the gradient by an affine map: of one example an outer product of what it reads and of the credit.

So the second moment over the batch is `(x**2)^T (c**2)`, and no gradient of one example is ever formed.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.conditionals import Dense, Free
from hnca.units import Conditional


def affine_moments(
    conditional: Dense | Free, features: tuple[Array, ...], credit: Float[Array, "passes batch out_features"]
) -> tuple[Conditional, Conditional]:
    """Returns the first and second moment of the per-example gradient."""
    return _first_moment(conditional, features, credit), _second_moment(conditional, features, credit)


def sum_of_affine_second_moments(
    conditional: Dense | Free, features: tuple[Array, ...], credit: Float[Array, "passes batch out_features"]
) -> Float[Array, ""]:
    """Returns the sum over the parameters, from sums over the features and sums over the credit of each example."""
    inputs = sum((_products(f) for f in features), jnp.zeros((), credit.dtype))
    bias = 0 if conditional.bias is None else 1
    return jnp.sum(jnp.mean((inputs + bias) * _products(credit), axis=-1)) / len(credit) ** 2


def _products(vectors: Float[Array, "passes batch size"]) -> Float[Array, "passes passes batch"]:
    """Returns the inner products of every two passes of an example."""
    if len(vectors) == 1:
        # A product with ones, which a CPU does faster than a sum along the rows.
        return (vectors**2 @ jnp.ones(vectors.shape[-1], vectors.dtype))[None]
    # Not as the sum of a broadcast product: XLA's CPU compiler (0.10.2) gets that wrong inside a scan under `vmap`.
    return jnp.einsum("pbi,qbi->pqb", vectors, vectors)


def _first_moment(conditional: Dense | Free, features: tuple[Array, ...], credit: Array) -> Conditional:
    flat = credit.reshape(-1, credit.shape[-1])
    weights = tuple(f.reshape(-1, f.shape[-1]).T @ flat / len(flat) for f in features)
    return _with_parameters(conditional, weights, jnp.mean(flat, axis=0))


def _second_moment(conditional: Dense | Free, features: tuple[Array, ...], credit: Array) -> Conditional:
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
