"""In how many bits something is computed, where small differences of large sums are taken."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

P = ParamSpec("P")
Result = TypeVar("Result")
Tree = TypeVar("Tree")


def at_least_float32(dtype: DTypeLike) -> jnp.dtype:
    """Returns the dtype, or float32 for a shorter one."""
    return jnp.dtype(dtype) if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)


def in_32_bits(tree: Tree) -> Tree:
    """Returns the tree with arrays of shorter floats made float32."""
    return jax.tree.map(
        lambda leaf: leaf.astype(at_least_float32(leaf.dtype)) if eqx.is_inexact_array(leaf) else leaf, tree
    )


def in_full_precision(function: Callable[P, Result]) -> Callable[P, Result]:
    """Returns the function with every matrix product in it, and in what it calls, computed in full precision.

    On accelerators JAX multiplies float32 matrices in TF32 or bfloat16 unless it is told otherwise, with errors of a
    thousandth: in a message, which is the difference of two log-probabilities, that is more than a promise of 1e-5.
    """

    @functools.wraps(function)
    def precise(*args: P.args, **kwargs: P.kwargs) -> Result:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return precise
