r"""Mean energies `sum_j z sigmoid(z)` of Bernoulli children after the flip of a parent unit, without exponentials.

With `z = a_j + delta_ij` and the names of `hnca.messages.product`, for children with `a_j <= 0`

    sigmoid(z) = (sigmoid(a_j) e^delta_ij) / (1 + sigmoid(a_j) (e^delta_ij - 1)),

a fraction whose denominator is a factor of the message's product. A block of fractions is put over one denominator as
it grows, so that one division a block is left. For `a_j > 0` the same holds of `-z`, and
`z sigmoid(z) = z + (-z) sigmoid(-z)`. With anything else for the factor `z`, such as a slope, it is the same sum.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.messages.blocks import Block, Sums, Up, Way, from_tiles, most_in_a_block, parents_up, sum_over_blocks
from hnca.messages.fallback import fast_unless, safe_exponent

_Averaged = Callable[[Block, int, Array], Array]
"""What is multiplied with a child's probability, of a block and its place there, and where its shift is downwards."""


@partial(jax.jit, inline=True)
def shifted_mean_energy(
    rise: Float[Array, "parents children"],
    child_logits: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns `sum_j z sigmoid(z)` with `z = a_j + delta_ij`, what the children's mean energy would be after a flip.

    Args:
        rise: the shift of each child logit when a parent unit goes up.
        child_logits: logits of the children, with all parents as they are.
        parent_state: 1 where a parent unit has its upper value, else 0.
    """
    flat = child_logits.reshape(-1, rise.shape[1])
    positive = (child_logits > 0).astype(child_logits.dtype)
    linear = jnp.sum(positive * child_logits, axis=-1, keepdims=True) + (1 - 2 * parent_state) * (positive @ rise.T)
    unsafe = ~(most_in_a_block(rise) <= safe_exponent(rise.dtype))
    fast, always = (partial(_sum, partial(way, of=_shifted)) for way in (_fractions, _sigmoids))
    sums = fast_unless(unsafe, fast, always, rise, parents_up(parent_state), flat)
    return linear + from_tiles(sums, parent_state)


@partial(jax.jit, inline=True)
def shifted_mean(
    rise: Float[Array, "parents children"],
    child_logits: Float[Array, "*batch children"],
    slope: Float[Array, "*batch children"],
    parent_state: Float[Array, "*batch parents"],
) -> Float[Array, "*batch parents"]:
    """Returns `sum_j slope_j sigmoid(a_j + delta_ij)`, what a weighted sum of the children would be after a flip.

    Args:
        rise: the shift of each child logit when a parent unit goes up.
        child_logits: logits of the children, with all parents as they are.
        slope: what each child's probability is multiplied with.
        parent_state: 1 where a parent unit has its upper value, else 0.
    """
    logits, slopes = (a.reshape(-1, rise.shape[1]) for a in (child_logits, slope))
    likely = logits > 0
    linear = jnp.sum(jnp.where(likely, slopes, 0), axis=-1).reshape(*parent_state.shape[:-1], 1)
    unsafe = ~(most_in_a_block(rise) <= safe_exponent(rise.dtype))
    fast, always = (partial(_sum, partial(way, of=_slope)) for way in (_fractions, _sigmoids))
    sums = fast_unless(unsafe, fast, always, rise, parents_up(parent_state), logits, jnp.where(likely, -slopes, slopes))
    return linear + from_tiles(sums, parent_state)


def _sum(of_block: Way, rise: Array, up: Up, *by_child: Array) -> Sums:
    return sum_over_blocks(of_block, rise, *by_child, up=up)


def _fractions(block: Block, up: Up, of: _Averaged) -> Sums:
    """The fast way: the sum as one fraction."""
    numerator, denominator = jnp.zeros(up.shape, block.rise.dtype), jnp.ones(up.shape, block.rise.dtype)
    probability = jax.nn.sigmoid(block.below)
    rising, falling = jnp.exp(block.rise) - 1, jnp.exp(-block.rise) - 1
    for child in range(block.rise.shape[1]):
        falls = up != block.positive[child][None, :, None]
        p = probability[child][None, :, None]
        excess = p * jnp.where(falls, falling[:, child, None], rising[:, child, None])
        energy = (p + excess) * of(block, child, falls)
        numerator = numerator + numerator * excess + energy * denominator
        denominator = denominator + denominator * excess
    return numerator / denominator


def _sigmoids(block: Block, up: Up, of: _Averaged) -> Sums:
    """The way for weights of any size."""
    total = jnp.zeros(up.shape, block.rise.dtype)
    for child in range(block.rise.shape[1]):
        falls = up != block.positive[child][None, :, None]
        total = total + of(block, child, falls) * jax.nn.sigmoid(_shifted(block, child, falls))
    return total


def _shifted(block: Block, child: int, falls: Array) -> Array:
    rise = block.rise[:, child, None]
    return block.below[child][None, :, None] + jnp.where(falls, -rise, rise)


def _slope(block: Block, child: int, _falls: Array) -> Array:
    assert block.slope is not None
    return block.slope[child][None, :, None]
