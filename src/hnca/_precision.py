"""Matrix products in the full precision of their dtype, where small differences of large sums are taken."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
Result = TypeVar("Result")


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
