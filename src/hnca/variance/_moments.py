"""First and second moments over the batch of the per-example gradient of a conditional, by the kind of conditional.

Everywhere `features` are what the conditional reads and `credit` is the derivative by what it returns, both with the
axes `[passes, batch]` first; an example's gradient is the mean over its passes.
"""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hnca.conditionals import Conv, Dense, Free, Sequential, Stage, apply_stage
from hnca.variance._affine import affine_moments, sum_of_affine_second_moments
from hnca.variance._by_example import convolution_moments, materialised_moments


def moments(
    stage: Stage, features: tuple[Array, ...], credit: Float[Array, "passes batch out_features"]
) -> tuple[PyTree, PyTree]:
    """Returns the first and second moment, in the place of each parameter of the stage."""
    if isinstance(stage, Dense | Free):
        return affine_moments(stage, features, credit)
    if isinstance(stage, Conv):
        return convolution_moments(stage, features, credit)
    if isinstance(stage, Sequential):
        of_stages = [moments(*part) for part in _by_stage(stage, features, credit)]
        first, second = ([pair[place] for pair in of_stages] for place in (0, 1))
        return _sequential_of(stage, first), _sequential_of(stage, second)
    return materialised_moments(stage, features, credit)


def sum_of_second_moments(
    stage: Stage, features: tuple[Array, ...], credit: Float[Array, "passes batch out_features"]
) -> Float[Array, ""]:
    """Returns the sum of the second moments of all parameters, without holding them where that can be done."""
    if isinstance(stage, Dense | Free):
        return sum_of_affine_second_moments(stage, features, credit)
    if isinstance(stage, Sequential):
        sums = [sum_of_second_moments(*part) for part in _by_stage(stage, features, credit)]
        return sum(sums[1:], sums[0])
    _, second = moments(stage, features, credit)
    return sum((jnp.sum(leaf) for leaf in jax.tree.leaves(second)), jnp.zeros((), credit.dtype))


def _by_stage(
    sequential: Sequential, features: tuple[Array, ...], credit: Array
) -> Iterator[tuple[Stage, tuple[Array, ...], Array]]:
    """Yields every stage, the last one first, with what it reads and the credit backpropagated to what it returns."""
    batch_shape = credit.shape[:-1]
    stages = list(sequential.stage_inputs(features, batch_shape))
    for stage, inputs in reversed(stages[1:]):
        yield stage, inputs, credit
        (credit,) = jax.vjp(lambda hidden: apply_stage(stage, hidden, batch_shape), inputs[0])[1](credit)  # noqa: B023
    yield *stages[0], credit


def _sequential_of(sequential: Sequential, backwards: list[PyTree]) -> Sequential:
    first, *rest = reversed(backwards)
    result = eqx.filter(sequential, eqx.is_inexact_array)
    return eqx.tree_at(lambda s: (s.first, s.rest), result, (first, tuple(rest)))
