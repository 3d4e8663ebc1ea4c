"""A value that can be differentiated once: the derivative of an estimate of a gradient estimates nothing."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from hnca.programs.equations import Program


def differentiable_once(
    owner: str, value: Float[Array, ""], program: Program, arguments: Iterable[Array]
) -> Float[Array, ""]:
    """Returns the value, whose derivative raises if it is differentiated itself.

    Credits are constants in the derivative, also where they are functions of what it is taken by, so that a second
    derivative would lack all that comes through the draws, and nothing would tell.

    Args:
        owner: the function's name, for the error.
        value: whose derivative is the estimate.
        program: what is closed over is among its constants.
        arguments: flat.
    """
    floats = [a for a in (*arguments, *program.constants.values()) if jnp.issubdtype(a.dtype, jnp.inexact)]

    @jax.custom_jvp
    def guarded(value: Array, _read: list[Array]) -> Array:
        return value

    @guarded.defjvp
    def _derivative(primals: tuple[Array, list[Array]], tangents: tuple[Array, list[Array]]) -> tuple[Array, Array]:
        value, read = primals
        return value, tangents[0] * one(read)

    @jax.custom_jvp
    def one(_read: list[Array]) -> Array:
        return jnp.ones((), value.dtype)

    def _second_derivative(primals: tuple[list[Array]], tangents: tuple[list[Any]]) -> tuple[Array, Array]:
        if any(not isinstance(tangent, SymbolicZero) for tangent in tangents[0]):
            raise ValueError(
                f"{owner}: the estimate of its gradient is differentiated once more; expected one derivative, for the "
                "estimate's own derivative is not that of the expectation's gradient: credits are constants in it. "
                "If the estimate is a constant to what is differentiated, give hnca.grad its arguments through "
                "jax.lax.stop_gradient; if the value is to be differentiated, take it of hnca.credited."
            )
        return one(*primals), jnp.zeros((), value.dtype)

    one.defjvp(_second_derivative, symbolic_zeros=True)
    return guarded(value, floats)
