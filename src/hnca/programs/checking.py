"""Whether an estimator's gradient of a program is unbiased: by enumeration of everything its draws can be."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from hnca._precision import at_least_float32
from hnca.estimators import HNCA, Estimator
from hnca.estimators._requirements import MissingKeyError
from hnca.joint_states import MAXIMUM_STATES
from hnca.programs.arguments import require_flags, require_function
from hnca.programs.draws import family_of
from hnca.programs.enumerable import Enumerable, Places, enumerable_call
from hnca.programs.equations import Draw
from hnca.programs.loops.crediting import check_options


class Unbiasedness(NamedTuple):
    """What `check_unbiased` found.

    Attributes:
        error: the largest difference between the estimator's expected gradient and the exact one, in parts of the
            largest element of the exact one.
        gradient: the exact gradient of the function's expectation, in 32 bits at least.
        expected: what the estimator's gradient is on average, likewise.
        states: how many joint values of the draws there are.
    """

    error: float
    gradient: PyTree
    expected: PyTree
    states: int

    def __str__(self) -> str:
        """Returns the verdict in a line; `repr` has the gradients too."""
        return f"off by {self.error:.3g} of the largest element of the exact gradient, over {self.states} joint values"


def check_unbiased(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    *,
    argnums: int = 0,
    estimator: Estimator | None = None,
    tolerance: float | None = None,
    unroll: bool = True,
) -> Unbiasedness:
    """Compares an estimator's expected gradient of one example with the exact one, by enumeration.

    For small shapes: every joint value of all draws is run. Best under `jax.enable_x64(True)`.

    Examples:
        >>> def loss(weight, key, x):
        ...     return jnp.sum(hnca.bernoulli(key, x @ weight) - 0.2) ** 2
        >>> arguments = jnp.full((3, 2), 0.3), jax.random.key(0), jnp.ones(3)
        >>> found = hnca.check_unbiased(loss, arguments)
        >>> found.states, found.error < 1e-6
        (4, True)
        >>> hnca.check_unbiased(loss, arguments, estimator=hnca.StraightThrough())
        Traceback (most recent call last):
        ValueError: check_unbiased: StraightThrough's expected gradient is off by ... expected at most 0.00345.

    Args:
        function: of one example, as for `hnca.value_and_grad`; without aux.
        arguments: its positional arguments, of one example.
        argnums: which of them to differentiate by.
        estimator: one that needs no key of its own; by default `hnca.HNCA()`.
        tolerance: the largest `Unbiasedness.error` that passes; by default the square root of the epsilon of the
            coarsest dtype, of the parameters or the value, and ten times that for 32 bits: 1.5e-8, 0.00345, 0.031 of
            float16 and 0.088 of bfloat16. A smaller bias is not seen.
        unroll: as for `hnca.value_and_grad`.

    Raises:
        ValueError: if the error is larger than the tolerance; if there are more than `hnca.exact.MAXIMUM_STATES` joint
            values; if the estimator needs a key.
    """
    estimator = HNCA() if estimator is None else estimator
    if not isinstance(estimator, Estimator):
        raise ValueError(f"check_unbiased: estimator={estimator!r}; expected an estimator such as hnca.HNCA().")
    require_function("check_unbiased", function)
    require_flags("check_unbiased", unroll=unroll)
    if not unroll:
        check_options("check_unbiased", estimator)
    if not -len(arguments) <= argnums < len(arguments):
        raise ValueError(
            f"check_unbiased: argnums={argnums}; expected a place among the {len(arguments)} arguments of the function."
        )
    try:
        return _checked(function, arguments, argnums, estimator, tolerance, unroll)
    except MissingKeyError:
        raise ValueError(
            f"check_unbiased: {type(estimator).__name__} draws samples of its own with a key, and they are not "
            "enumerated; expected an estimator that needs none, such as HNCA. Average this one's gradient over many "
            "keys, and hold it against `hnca.check_unbiased(...).gradient`, which is exact."
        ) from None


def _checked(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    argnums: int,
    estimator: Estimator,
    tolerance: float | None,
    unroll: bool,
) -> Unbiasedness:
    floats, rest = eqx.partition(arguments[argnums], eqx.is_inexact_array_like)
    floats = jax.tree.map(jnp.asarray, floats)

    def compiled(floats: PyTree) -> Enumerable:
        whole = [*arguments]
        whole[argnums] = eqx.combine(floats, rest)
        return enumerable_call(function, tuple(whole), unroll)

    call = compiled(floats)
    every = joint_values(call.draws)
    count = len(next(iter(every.values())))
    chances = jax.jit(jax.vmap(lambda given: jnp.exp(log_probability(call.draws, call.run(given)[0], given))))(every)
    # What cannot be has no weight, were it no number.
    states = jax.tree.map(lambda values: values[chances != 0], every)

    def exact(floats: PyTree, given: dict[Any, Array]) -> Float[Array, ""]:
        call = compiled(floats)
        logits, value = call.run(given)
        return jnp.exp(log_probability(call.draws, logits, given)).astype(value.dtype) * value

    def estimate(floats: PyTree, given: dict[Any, Array]) -> PyTree:
        call = compiled(floats)
        logits, _ = call.run(given)
        weight = jnp.exp(log_probability(call.draws, logits, given))
        gradient = jax.grad(lambda floats: compiled(floats).credited(estimator, given))(floats)
        return jax.tree.map(lambda leaf: weight.astype(leaf.dtype) * leaf, gradient)

    gradient, size = _summed(jax.grad(exact), floats, states)
    expected, _ = _summed(estimate, floats, states)
    # Of float32 parameters made before 64 bits were enabled no more can be expected than they hold.
    dtypes = [call.dtype, *(leaf.dtype for leaf in jax.tree.leaves(floats))]
    epsilon = max(float(jnp.finfo(dtype).eps) for dtype in dtypes)
    # A gradient that is 0 is what is left of the states' own after rounding.
    least = max(_largest(size) * epsilon**0.25, 1e-30)
    error = _largest(jax.tree.map(lambda a, b: a - b, gradient, expected)) / max(_largest(gradient), least)
    if tolerance is None:
        tolerance = math.sqrt(epsilon) * (10 if 1e-10 < epsilon < 1e-5 else 1)
    found = Unbiasedness(error, gradient, expected, count)
    for what, tree in (("the exact gradient", gradient), (f"{type(estimator).__name__}'s expected gradient", expected)):
        if strange := _not_finite(tree):
            raise ValueError(f"check_unbiased: {what} is not finite for the argument's leaf {strange}.")
    if not error <= tolerance:
        raise ValueError(
            f"check_unbiased: {type(estimator).__name__}'s expected gradient is off by {error:.3g} of the largest "
            f"element of the exact one; expected at most {tolerance:.3g}."
        )
    return found


def _summed(
    function: Callable[[PyTree, dict[Any, Array]], PyTree], floats: PyTree, states: dict[Any, Array]
) -> tuple[PyTree, PyTree]:
    """Returns the sum over all states of what a function gives, and the sum of its absolute values."""

    def both(floats: PyTree, states: dict[Any, Array]) -> tuple[PyTree, PyTree]:
        each = jax.vmap(function, (None, 0))(floats, states)
        each = jax.tree.map(lambda leaf: leaf.astype(at_least_float32(leaf.dtype)), each)
        sizes = jax.tree.map(lambda leaf: jnp.sum(jnp.abs(leaf), axis=0), each)
        return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), each), sizes

    return jax.jit(both)(floats, states)


def _not_finite(tree: PyTree) -> str:
    """Returns the path of the first leaf that has infinities or NaN in it; nothing if none has."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return next((jax.tree_util.keystr(path) or "itself" for path, a in leaves if not jnp.all(jnp.isfinite(a))), "")


def joint_values(draws: Places) -> dict[Any, Array]:
    """Returns every joint value of a program's draws, stacked along a first axis."""
    count = math.prod(place.draw.categories**place.units for place in draws.values())
    if count > MAXIMUM_STATES:
        raise ValueError(f"check_unbiased: the draws have {count} joint values; expected at most {MAXIMUM_STATES}.")
    sizes = [place.draw.categories for place in draws.values() for _ in range(place.units)]
    indices = np.stack(np.unravel_index(np.arange(count), sizes), axis=-1) if sizes else np.zeros((1, 0), int)
    found, start = {}, 0
    for where, place in draws.items():
        taken = indices[:, start : start + place.units].reshape(count, *place.lengths, *place.draw.shape)
        found[where] = _values(place.draw, taken, place.dtype)
        start += place.units
    return found


def _values(draw: Draw, taken: np.ndarray, dtype: jnp.dtype) -> Array:
    if draw.values is None:
        return jnp.asarray(taken, jnp.int32)
    return family_of(draw.values, 2).alternative_values(dtype)[taken]


def log_probability(draws: Places, logits: Mapping[Any, Array], given: Mapping[Any, Array]) -> Float[Array, ""]:
    """Returns the log-probability of some values of all draws, each given its logits."""
    total = jnp.zeros((), jnp.result_type(float))
    impossible = jnp.zeros((), bool)
    for where, place in draws.items():
        family = family_of(place.draw.values, place.draw.categories)
        shape = (place.units,) if place.draw.values is not None else (place.units, place.draw.categories)
        scored = family.log_prob(logits[where].reshape(shape), given[where].reshape(place.units))
        total += jnp.sum(scored.astype(total.dtype))
        impossible |= jnp.any(jnp.isneginf(scored))
    # What an impossible value makes of later logits need not be a number.
    return jnp.where(impossible, -jnp.inf, total)


def _largest(tree: PyTree) -> float:
    return max((float(jnp.max(jnp.abs(leaf), initial=0)) for leaf in jax.tree.leaves(tree)), default=0.0)
