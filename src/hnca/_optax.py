"""Optax, for callers who have JAX refuse to promote dtypes."""

from typing import TypeVar

import equinox as eqx
import jax
import optax
from jaxtyping import PyTree

Parameters = TypeVar("Parameters", bound=PyTree)


def step(
    optimiser: optax.GradientTransformation, gradient: Parameters, state: optax.OptState, parameters: Parameters
) -> tuple[Parameters, optax.OptState]:
    """Returns the parameters and the optimiser's state after one step.

    Args:
        optimiser: what makes a step of a gradient.
        gradient: by the parameters.
        state: the optimiser's.
        parameters: arrays, and None where a module has something else.
    """
    # Optax's Adam raises a float to an integer power, which a caller with strict promotion could not do.
    with jax.numpy_dtype_promotion("standard"):
        steps, state = optimiser.update(gradient, state, parameters)
    return eqx.apply_updates(parameters, steps), state
