"""The message of softmax (categorical) children to Bernoulli parents, by matrix products."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


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
    probabilities = jax.nn.softmax(child_logits)
    taken = jax.nn.one_hot(child_values, weight.shape[-1], dtype=weight.dtype)
    chosen = jnp.einsum("...ck,cik->...i", taken, rise)

    def add_child(total: Array, child: tuple[Array, Array]) -> tuple[Array, None]:
        child_probabilities, child_rise = child
        up = _log_expectation(child_probabilities, child_rise)
        down = _log_expectation(child_probabilities, -child_rise)
        # A unit that is up would flip down; its message is minus that flip's log-ratio.
        return total + jnp.where(parent_state > 0.5, down, -up), None

    total, _ = jax.lax.scan(add_child, chosen, (jnp.moveaxis(probabilities, -2, 0), rise))
    return total


def _log_expectation(
    probabilities: Float[Array, "*batch categories"], shift: Float[Array, "parents categories"]
) -> Float[Array, "*batch parents"]:
    """Returns `log sum_k p_k e^(shift_k)`, by a matrix product and finite for any finite shift."""
    largest = jnp.max(shift, axis=-1)
    scaled = probabilities @ jnp.exp(shift - largest[:, None]).T
    broad = jnp.reshape(largest, (1,) * (probabilities.ndim - 1) + largest.shape)
    # Jensen's bound takes over where every term of the sum underflows.
    return jnp.maximum(broad + jnp.log(scaled), probabilities @ shift.T)
