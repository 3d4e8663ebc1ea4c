r"""The message of Bernoulli children through a dense weight, at a few times the price of a matrix product.

Flipping parent unit `i` shifts child logit `a_j` by `delta_ij = s_i span W_ij`, `s_i` being 1 for a unit that is low
and -1 for one that is up, and the log-probability of the children by

    sum_j c_j delta_ij - sum_j log(1 + sigmoid(a_j) (e^(delta_ij) - 1)).

The first sum is a matrix product. The second is the log of a product of factors, one log for a block of children. To
lose no digits where a child is nearly certain, `delta` is first taken out of the factors of children with `a_j > 0`
(`t_j = 1`, else 0):

    sum_j (c_j - t_j) delta_ij - sum_j log(1 + sigmoid(-|a_j|) (e^(+-delta_ij) - 1)),

whose factors are never below 1/2, and `e^(+-delta) - 1` has two values a weight, whatever the batch. What is left for
every example, parent and child is a choice, a multiply-add and a multiply. Children come in blocks, parents lie along
the vector lanes, and nothing of size batch * parents * children is ever held.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

# Measured: longer blocks save logs but leave the range of floats sooner; lanes of 16 fill any CPU's vectors.
_BLOCK = 16
_LANES = 16


def product_message(
    weight: Float[Array, "parents children"],
    span: float,
    child_logits: Float[Array, "*batch children"],
    child_state: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns `log P(children | unit at its upper value) - log P(children | at its lower)` for every parent unit.

    Args:
        weight: from parent values to child logits.
        span: upper less lower value of the parent units.
        child_logits: logits of the children, with all parents as they are.
        child_state: 1 where a child has its upper value, else 0.
        parent_state: 1 where a parent unit has its upper value, else 0.

    Source: Young 2022, Eq 2 and Algorithm 2.
    """
    positive = (child_logits > 0).astype(child_logits.dtype)
    linear = span * ((child_state - positive) @ weight.T)
    # A unit that is up would flip down; its message is minus that flip's log-ratio.
    return linear - (1 - 2 * parent_state) * _log_product(weight, span, child_logits, parent_state)


def softplus_sum(
    weight: Float[Array, "parents children"],
    span: float,
    child_logits: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns `sum_j log(1 + sigmoid(a_j) (e^(delta_ij) - 1))`: how the softplus of the child logits would grow.

    Summed over the children, `softplus(a + delta) - softplus(a)` for the flip of every parent unit. Arguments as for
    `product_message`.
    """
    positive = (child_logits > 0).astype(child_logits.dtype)
    linear = span * (positive @ weight.T)
    return (1 - 2 * parent_state) * linear + _log_product(weight, span, child_logits, parent_state)


class _Block(NamedTuple):
    """A block of children, or (with a leading axis) all blocks. Padding children have weight 0 and `below` 0.

    Attributes:
        rise: `[children, parents]`, the shift of each child logit when a parent unit goes up.
        below: `[children, batch]`, `-|a|`.
        positive: `[children, batch]`, whether `a > 0`.
    """

    rise: Float[Array, "*blocks children parents"]
    below: Float[Array, "*blocks children batch"]
    positive: Bool[Array, "*blocks children batch"]


def _log_product(weight: Array, span: float, logits: Array, parent_state: Array) -> Array:
    """Returns `sum_j log(1 + sigmoid(-|a_j|) (e^(+-delta_ij) - 1))`, `+` where `a_j <= 0`."""
    parents = weight.shape[0]
    blocks = _in_blocks(span * weight.T, logits.reshape(-1, logits.shape[-1]))
    up = jnp.pad(parent_state.reshape(-1, parents) > 0.5, ((0, 0), (0, -parents % _LANES)))
    # The product of a block stays a finite float as long as its shifts do not add up to more than this.
    limit = 0.95 * np.log(float(jnp.finfo(weight.dtype).max))
    overflows = jnp.max(jnp.sum(jnp.abs(blocks.rise), axis=1)) > limit
    fast = _sum_over_blocks(_log_of_products, blocks, up)
    total = _bounded_if(overflows, fast, blocks, up)
    return total[:, :parents].reshape(parent_state.shape)


def _in_blocks(rise: Float[Array, "children parents"], logits: Float[Array, "batch children"]) -> _Block:
    children, parents = rise.shape
    block = min(_BLOCK, children)
    count = -(-children // block)
    missing = count * block - children
    rise = jnp.pad(rise, ((0, missing), (0, -parents % _LANES)))
    logits = jnp.pad(logits.T, ((0, missing), (0, 0)))
    parts = (rise, -jnp.abs(logits), logits > 0)
    return _Block(*(part.reshape(count, block, -1) for part in parts))


def _sum_over_blocks(log_of_block: Callable[[_Block, Array], Array], blocks: _Block, up: Array) -> Array:
    def add(total: Array, block: _Block) -> tuple[Array, None]:
        return total + log_of_block(block, up), None

    zero = jnp.zeros(up.shape, blocks.rise.dtype)
    return jax.lax.scan(add, zero, blocks)[0]


def _log_of_products(block: _Block, up: Bool[Array, "batch parents"]) -> Float[Array, "batch parents"]:
    """The fast way: multiply the factors as they are."""
    probability = jax.nn.sigmoid(block.below)
    rising, falling = jnp.expm1(block.rise), jnp.expm1(-block.rise)
    product = jnp.ones(up.shape, block.rise.dtype)
    for child in range(block.rise.shape[0]):
        falls = up ^ block.positive[child][:, None]
        factor = 1 + probability[child][:, None] * jnp.where(falls, falling[child][None], rising[child][None])
        product = product * factor
    return jnp.log(product)


def _log_of_bounded_products(block: _Block, up: Bool[Array, "batch parents"]) -> Float[Array, "batch parents"]:
    """The way for weights of any size, with an exponential for every factor.

    With `z = +-delta - |a|`, a factor is `sigmoid(|a|) e^(max(z, 0)) (1 + e^(-|z|))`, the last of which is in (1, 2].
    """
    certainty = jax.nn.log_sigmoid(-block.below)
    product = jnp.ones(up.shape, block.rise.dtype)
    total = jnp.zeros(up.shape, block.rise.dtype)
    for child in range(block.rise.shape[0]):
        falls = up ^ block.positive[child][:, None]
        shift = jnp.where(falls, -block.rise[child][None], block.rise[child][None])
        excess = shift + block.below[child][:, None]
        product = product * (1 + jnp.exp(-jnp.abs(excess)))
        total = total + (certainty[child][:, None] + jnp.maximum(excess, 0))
    return total + jnp.log(product)


def _bounded_if(overflows: Bool[Array, ""], fast: Array, blocks: _Block, up: Array) -> Array:
    """Returns the result of the fast way, or of the bounded one where the fast one overflows, computed only then.

    A loop of at most one turn, and no `jax.lax.cond`, which under `vmap` would always compute both. Its body has to
    depend on what the loop changes: the compiler moves whatever does not out of the loop, and runs it always.
    """

    def turn(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        needed, _ = carry
        rise = jnp.where(needed, blocks.rise, 0)
        return jnp.zeros_like(needed), _sum_over_blocks(_log_of_bounded_products, blocks._replace(rise=rise), up)

    return jax.lax.while_loop(lambda carry: carry[0], turn, (overflows, fast))[1]
