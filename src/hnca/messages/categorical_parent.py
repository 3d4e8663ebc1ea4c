r"""Messages of Bernoulli children through a dense weight to categorical parents.

Were unit `i` of value `v` to take value `k`, child logit `a_j` would shift by `W_ikj - W_ivj`. The exponential of that
is a product of two tables of the weights, so that what is left for every example, unit, value and child is a choice and
two multiply-adds, and nothing with an axis of children and one of examples and units is held.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hnca._precision import in_full_precision
from hnca.messages.fallback import fast_unless, safe_exponent
from hnca.messages.taken import at_taken, taken_values

_BLOCK = 16


@in_full_precision
@partial(jax.jit, inline=True)
def categorical_parent_message(
    weight: Float[Array, "parents alternatives children"],
    child_logits: Float[Array, "*batch children"],
    child_state: Float[Array, "*batch children"],
    parent_values: Int[Array, "*batch parents"],
) -> Float[Array, "*batch parents alternatives"]:
    """Returns `log P(children | unit = k) - log P(children | unit as it is)` for Bernoulli children.

    Costs as much as `alternatives` messages to Bernoulli parents.

    Args:
        weight: from one-hot parent values to child logits.
        child_logits: logits of the children, with all parents as they are.
        child_state: 1 where a child has its upper value, else 0.
        parent_values: the categories taken.

    Source: Young 2022, Eq 2 and Appendix D.
    """
    children = weight.shape[-1]
    taken = taken_values(parent_values, weight)
    logits, state = (a.reshape(-1, children) for a in (child_logits, child_state))
    positive = (logits > 0).astype(logits.dtype)
    by_child = jnp.moveaxis(weight, (2, 1, 0), (0, 1, 2))
    linear = jnp.einsum("bj,jki->kbi", state - positive, by_child)
    linear -= jnp.sum(linear * taken, axis=0)[None]

    def by(way: Callable[[Array, Array, Array], Array]) -> Callable[[Array, Array, Array], Array]:
        return partial(_sum_over_blocks, way)

    # The weights themselves, whose exponentials are taken, and what the shifts of a block can come to.
    largest = jnp.max(jnp.abs(by_child), axis=(1, 2))
    growth = jnp.maximum(jnp.max(largest), 2 * jnp.sum(jax.lax.top_k(largest, min(_BLOCK, children))[0]))
    unsafe = ~(growth <= safe_exponent(weight.dtype))
    sums = fast_unless(unsafe, by(_log_of_products), by(_sum_of_logs), by_child, logits, taken)
    return jnp.moveaxis(linear - sums, 0, -1).reshape(*parent_values.shape, -1)


def _sum_over_blocks(
    log_of_block: Callable[[Array, Array, Array], Array], weight: Array, logits: Array, taken: Array
) -> Array:
    """Returns `sum_j log(1 + sigmoid(-|a_j|) (e^(+-delta_ikj) - 1))`, `+` where `a_j <= 0`; padding adds nothing."""
    children = len(weight)
    block = min(_BLOCK, children)
    missing = -children % block
    weights = jnp.pad(weight, ((0, missing), (0, 0), (0, 0)))
    padded = jnp.pad(logits.T, ((0, missing), (0, 0)))
    blocks = weights.reshape(-1, block, *weights.shape[1:]), padded.reshape(-1, block, padded.shape[-1])

    def add(total: Array, part: tuple[Array, Array]) -> tuple[Array, None]:
        return total + log_of_block(*part, taken), None

    return jax.lax.scan(add, jnp.zeros_like(taken), blocks)[0]


def _log_of_products(weight: Array, logits: Array, taken: Array) -> Array:
    """The fast way: multiplies the factors of a block as they are."""
    probability = jax.nn.sigmoid(-jnp.abs(logits))
    falls = (logits > 0)[:, :, None]
    up, down = jnp.exp(weight), jnp.exp(-weight)
    back = jnp.where(falls, at_taken(taken, up), at_taken(taken, down))
    # Kept apart, or the compiler would compute it anew for every value.
    scaled = jax.lax.optimization_barrier(probability[:, :, None] * back)
    product = jnp.ones_like(taken)
    for child in range(len(weight)):
        there = jnp.where(falls[child][None], down[child][:, None], up[child][:, None])
        product += product * (scaled[child][None] * there - probability[child][None, :, None])
    return jnp.log(product)


def _sum_of_logs(weight: Array, logits: Array, taken: Array) -> Array:
    """The way for weights of any size: a softplus for every factor."""

    def add(total: Array, child: tuple[Array, Array, Array]) -> tuple[Array, None]:
        child_weight, here, logit = child
        shift = child_weight[:, None] - here[None]
        below = -jnp.abs(logit)[None, :, None]
        signed = jnp.where((logit > 0)[None, :, None], -shift, shift)
        return total + jax.nn.softplus(below + signed) - jax.nn.softplus(below), None

    return jax.lax.scan(add, jnp.zeros_like(taken), (weight, at_taken(taken, weight), logits))[0]
