"""Whether an estimator's gradient of a program is unbiased: by enumeration of everything its draws can be."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from hnca.estimators import HNCA, Estimator
from hnca.estimators._requirements import MissingKeyError
from hnca.joint_states import MAXIMUM_STATES
from hnca.programs.crediting import compile_call, credited_call
from hnca.programs.draws import family_of
from hnca.programs.equations import Draw
from hnca.programs.passes import run_pass
from hnca.programs.plan import Plan


class Unbiasedness(NamedTuple):
    """What `check_unbiased` found.

    Attributes:
        error: the largest difference between the estimator's expected gradient and the exact one, in parts of the
            largest element of the exact one.
        gradient: the exact gradient of the function's expectation.
        expected: what the estimator's gradient is on average.
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
            coarsest dtype, of the parameters or the value, for 64 bits, and ten times that for fewer.

    Raises:
        ValueError: if the error is larger than the tolerance; if there are more than `hnca.exact.MAXIMUM_STATES` joint
            values; if the estimator needs a key.
    """
    estimator = HNCA() if estimator is None else estimator
    if not isinstance(estimator, Estimator):
        raise ValueError(f"check_unbiased: estimator={estimator!r}; expected an estimator such as hnca.HNCA().")
    if not -len(arguments) <= argnums < len(arguments):
        raise ValueError(
            f"check_unbiased: argnums={argnums}; expected a place among the {len(arguments)} arguments of the function."
        )
    try:
        return _checked(function, arguments, argnums, estimator, tolerance)
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
) -> Unbiasedness:
    floats, rest = eqx.partition(arguments[argnums], eqx.is_inexact_array_like)
    floats = jax.tree.map(jnp.asarray, floats)

    def compiled(floats: PyTree) -> Any:
        whole = [*arguments]
        whole[argnums] = eqx.combine(floats, rest)
        return compile_call("check_unbiased", function, tuple(whole), {}, None, False)

    plan = compiled(floats).plan
    states = joint_values(plan)

    def exact(floats: PyTree) -> Float[Array, ""]:
        def one(given: dict[int, Array]) -> Array:
            call = compiled(floats)
            run, _ = run_pass(call.plan, call.flat.arrays, call.flat.mapped, given)
            return jnp.exp(log_probability(call.plan, run.logits, given)) * run.outputs[0]

        return jnp.sum(jax.vmap(one)(states))

    def estimate(floats: PyTree, given: dict[int, Array]) -> PyTree:
        def scalar(floats: PyTree) -> Array:
            return credited_call(estimator, compiled(floats), None, None, given)[0]

        call = compiled(floats)
        run, _ = run_pass(call.plan, call.flat.arrays, call.flat.mapped, given)
        weight = jnp.exp(log_probability(call.plan, run.logits, given))
        return jax.tree.map(lambda leaf: weight * leaf, jax.grad(scalar)(floats))

    gradient = jax.jit(jax.grad(exact))(floats)
    summed = jax.jit(lambda f, s: jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), jax.vmap(estimate, (None, 0))(f, s)))
    expected = summed(floats, states)
    error = _largest(jax.tree.map(lambda a, b: a - b, gradient, expected)) / max(_largest(gradient), 1e-30)
    if tolerance is None:
        # Of float32 parameters made before 64 bits were enabled no more can be expected than they hold.
        dtypes = [plan.dtype, *(leaf.dtype for leaf in jax.tree.leaves(floats))]
        epsilon = max(float(jnp.finfo(dtype).eps) for dtype in dtypes)
        tolerance = math.sqrt(epsilon) * (1 if epsilon < 1e-10 else 10)
    found = Unbiasedness(error, gradient, expected, len(next(iter(states.values()))))
    if not error <= tolerance:
        raise ValueError(
            f"check_unbiased: {type(estimator).__name__}'s expected gradient is off by {error:.3g} of the largest "
            f"element of the exact one; expected at most {tolerance:.3g}."
        )
    return found


def joint_values(plan: Plan) -> dict[int, Array]:
    """Returns every joint value of a program's draws, stacked along a first axis."""
    draws = plan.program.draws
    count = math.prod(draw.categories**draw.units for draw in draws.values())
    if count > MAXIMUM_STATES:
        raise ValueError(f"check_unbiased: the draws have {count} joint values; expected at most {MAXIMUM_STATES}.")
    sizes = [draw.categories for draw in draws.values() for _ in range(draw.units)]
    indices = np.stack(np.unravel_index(np.arange(count), sizes), axis=-1) if sizes else np.zeros((1, 0), int)
    found, place = {}, 0
    for output, draw in draws.items():
        taken = indices[:, place : place + draw.units].reshape(count, *draw.shape)
        found[output] = _values(draw, taken, plan.program.avals[output].dtype)
        place += draw.units
    return found


def _values(draw: Draw, taken: np.ndarray, dtype: jnp.dtype) -> Array:
    if draw.values is None:
        return jnp.asarray(taken, jnp.int32)
    return family_of(draw.values, 2).alternative_values(dtype)[taken]


def log_probability(plan: Plan, logits: dict[int, Array], given: dict[int, Array]) -> Float[Array, ""]:
    """Returns the log-probability of some values of all draws, each given its logits."""
    total = jnp.zeros((), plan.dtype)
    for output, draw in plan.program.draws.items():
        family = family_of(draw.values, draw.categories)
        shape = (draw.units,) if draw.values is not None else (draw.units, draw.categories)
        scored = family.log_prob(logits[output].reshape(shape), given[output].reshape(draw.units))
        total += jnp.sum(scored.astype(plan.dtype))
    return total


def _largest(tree: PyTree) -> float:
    return max((float(jnp.max(jnp.abs(leaf), initial=0)) for leaf in jax.tree.leaves(tree)), default=0.0)
