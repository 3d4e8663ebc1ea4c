"""Finite numbers that stand for infinite ones, of which differences can be taken."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

IMPOSSIBLE = {4: 1e3, 8: 1e6}
"""By how many nats, by the size of the dtype, what stands for an infinite number is beyond all finite ones of a table.

It can be subtracted again, when another value of a unit takes a mask away: of numbers of 32 bits with an error of 3e-5.
"""
FORBIDDEN = 1e9
"""The logit that stands for an infinite one which no draw takes away: it can be multiplied with 0."""


def finite(array: Array) -> Array:
    """Returns a table with infinities of either sign replaced by what is far beyond its largest finite number.

    Integers as they are.
    """
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        return array
    infinite = jnp.isinf(array)
    return jnp.where(infinite, jnp.sign(array) * beyond_all(array, infinite), array)


def beyond_all(array: Array, infinite: Array, scale: Array | float = 1.0) -> Array:
    """Returns a positive number that is far beyond a table's others than those said to be infinite.

    Args:
        array: the table.
        infinite: which of its numbers are.
        scale: by what they will be multiplied, after which it is to be as far.
    """
    others = jnp.isfinite(array) & ~infinite
    largest = jnp.max(jnp.where(others, jnp.abs(jax.lax.stop_gradient(array)), 0), initial=0)
    return jnp.asarray(IMPOSSIBLE.get(array.dtype.itemsize, 200.0) / scale, array.dtype) + largest


def finite_logits(array: Array, categories: int | None = None) -> Array:
    """Returns logits with those beyond `FORBIDDEN`, or what 16 bits can hold of it, replaced by it.

    Args:
        array: the logits.
        categories: how many of one after another along the last axis are of one unit, of which the differences alone
            count: where all are far out, as of least used ones of `scores - 1e9 * uses`, they are brought back first.
            None for what is no categorical unit's.
    """
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return array
    largest = largest_logit(array.dtype)
    if categories is not None:
        rows = array.reshape(*array.shape[:-1], -1, categories)
        top = jax.lax.stop_gradient(jnp.max(rows, axis=-1, keepdims=True))
        away = jnp.isfinite(top) & (jnp.abs(top) > largest / 2)
        array = (rows - jnp.where(away, top, 0)).reshape(array.shape)
    # What is cut off is as large, and has its derivative all the same: a score to which the mask was added.
    bounded = jnp.where(jnp.isfinite(array), array, 0)
    kept = bounded - jax.lax.stop_gradient(bounded)
    return jnp.where(jnp.abs(array) > largest, jnp.sign(array) * largest + kept, array)


def largest_logit(dtype: jnp.dtype) -> Array:
    """Returns the logit that stands for an infinite one."""
    return jnp.asarray(min(FORBIDDEN, float(jnp.finfo(dtype).max) / 8), dtype)
