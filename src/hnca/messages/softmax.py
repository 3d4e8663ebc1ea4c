"""The message of softmax (categorical) children to Bernoulli parents, by matrix products."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hnca._precision import in_full_precision
from hnca.messages.fallback import fast_unless, safe_exponent


@in_full_precision
@partial(jax.jit, static_argnames="span", inline=True)
def softmax_message(
    weight: Float[Array, "parents children categories"],
    span: float,
    child_logits: Float[Array, "*batch children categories"],
    child_values: Int[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    r"""Returns `log P(children | unit at its upper value) - log P(children | at its lower)` for every parent unit.

    With `delta_ki` the shift of logit `k` when unit `i` flips, the flip changes the log-probability of a child by
    `delta_(value)i - log sum_k p_k e^(delta_ki)`. Children are taken one at a time, so memory stays at
    `batch * parents`.

    Args:
        weight: from parent features to child logits.
        span: upper less lower value of the parent units.
        child_logits: logits of the children, with all parents as they are.
        child_values: the categories taken.
        parent_state: 1 where a parent unit has its upper value, else 0.

    Source: Young 2022, Eq 2, for the output layer of Section 1.3.
    """
    rise = span * jnp.moveaxis(weight, 1, 0)  # [children, parents, categories]: what a unit adds when it goes up
    spread = jnp.max(jnp.max(rise, axis=-1) - jnp.min(rise, axis=-1))
    # Written so that what is no number is unsafe.
    unsafe = ~(spread <= safe_exponent(rise.dtype))
    is_up = parent_state > 0.5
    fast, always = (partial(_sum_over_children, way) for way in (_log_expectation, _log_expectation_of_any))
    return fast_unless(unsafe, fast, always, rise, child_logits, child_values, is_up)


def _sum_over_children(
    log_expectation: Callable[[Array, Array], Array], rise: Array, logits: Array, values: Array, is_up: Array
) -> Array:
    taken = jax.nn.one_hot(values, rise.shape[-1], dtype=rise.dtype)
    chosen = jnp.einsum("...ck,cik->...i", taken, rise)

    def add_child(total: Array, child: tuple[Array, Array]) -> tuple[Array, None]:
        log_probabilities, child_rise = child
        up = log_expectation(log_probabilities, child_rise)
        down = log_expectation(log_probabilities, -child_rise)
        # A unit that is up would flip down; its message is minus that flip's log-ratio.
        return total + jnp.where(is_up, down, -up), None

    return jax.lax.scan(add_child, chosen, (jnp.moveaxis(jax.nn.log_softmax(logits), -2, 0), rise))[0]


def _log_expectation(
    log_probabilities: Float[Array, "*batch categories"], shift: Float[Array, "parents categories"]
) -> Float[Array, "*batch parents"]:
    """Returns `log sum_k p_k e^(shift_k)`, by a matrix product: for shifts of a moderate range."""
    largest = jnp.max(shift, axis=-1)
    scaled = jnp.exp(log_probabilities) @ jnp.exp(shift - largest[:, None]).T
    return _over(largest, log_probabilities) + jnp.log(scaled)


def _log_expectation_of_any(
    log_probabilities: Float[Array, "*batch categories"], shift: Float[Array, "parents categories"]
) -> Float[Array, "*batch parents"]:
    """The same for any shift: a category at a time, so that nothing has an axis of them beside the others."""
    by_category = jnp.moveaxis(log_probabilities, -1, 0), shift.T

    def largest_of(largest: Array, category: tuple[Array, Array]) -> tuple[Array, None]:
        log_p, shift_k = category
        return jnp.maximum(largest, log_p[..., None] + _over(shift_k, log_probabilities)), None

    def add(total: Array, category: tuple[Array, Array]) -> tuple[Array, None]:
        log_p, shift_k = category
        return total + jnp.exp(log_p[..., None] + _over(shift_k, log_probabilities) - largest), None

    shape = (*log_probabilities.shape[:-1], len(shift))
    nothing = jnp.full(shape, -jnp.inf, shift.dtype)
    largest = jax.lax.stop_gradient(jax.lax.scan(largest_of, nothing, by_category)[0])
    return largest + jnp.log(jax.lax.scan(add, jnp.zeros(shape, shift.dtype), by_category)[0])


def _over(by_parent: Float[Array, " parents"], like: Float[Array, "*batch categories"]) -> Array:
    return by_parent.reshape((1,) * (like.ndim - 1) + by_parent.shape)
