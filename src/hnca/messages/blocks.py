"""How the kernels for Bernoulli children lay out their work: children in blocks, parents in tiles and lanes."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int8

# Measured on CPUs: children to a block (longer ones save logs but overflow sooner); parents to a tile at most, so that
# a block's part of the weights stays in the nearest cache for the whole batch; lanes that fill any CPU's vectors.
_BLOCK = 32
_TILE = 208
_LANES = 16


class Block(NamedTuple):
    """A block of children, or (with a leading axis) all blocks. Padding has weight 0, and so factors of 1.

    Attributes:
        rise: the shift of each child logit when a parent unit goes up.
        below: `-|a|`.
        positive: 1 where `a > 0`.
        slope: what is multiplied with the children's probabilities, where that is asked for.
    """

    rise: Float[Array, "*blocks tiles children lanes"]
    below: Float[Array, "*blocks children batch"]
    positive: Int8[Array, "*blocks children batch"]
    slope: Float[Array, "*blocks children batch"] | None = None


# 1 where a parent unit is up. Bytes, as comparing two takes a CPU one instruction, the exclusive or of booleans three.
Up = Int8[Array, "tiles batch lanes"]
Sums = Float[Array, "tiles batch lanes"]
Way = Callable[[Block, Up], Sums]


def parents_up(parent_state: Float[Array, "*batch parents"]) -> Up:
    """Returns the states of the parents in tiles."""
    flat = (parent_state.reshape(-1, parent_state.shape[-1]) > 0.5).astype(jnp.int8)
    return _in_tiles(flat, axis=1).swapaxes(0, 1)


def from_tiles(sums: Sums, parent_state: Float[Array, "*batch parents"]) -> Float[Array, "*batch parents"]:
    """Returns the sums in the shape of the states, without what padded them."""
    flat = sums.swapaxes(0, 1).reshape(sums.shape[1], -1)
    return flat[:, : parent_state.shape[-1]].reshape(parent_state.shape)


def _in_tiles(array: Array, axis: int) -> Array:
    """Splits the axis of the parents in two, tiles and lanes."""
    size = array.shape[axis]
    tiles = -(-size // _TILE)
    lanes = -(-size // (tiles * _LANES)) * _LANES
    padding = [(0, tiles * lanes - size) if i == axis else (0, 0) for i in range(array.ndim)]
    return jnp.pad(array, padding).reshape(*array.shape[:axis], tiles, lanes, *array.shape[axis + 1 :])


def _in_blocks(
    rise: Float[Array, "parents children"],
    logits: Float[Array, "batch children"],
    slope: Float[Array, "batch children"] | None = None,
) -> Block:
    children = rise.shape[1]
    count = -(-children // _BLOCK)
    block = -(-children // count)
    missing = ((0, 0), (0, count * block - children))
    rise = _in_tiles(jnp.pad(rise, missing), axis=0)
    rise = rise.reshape(*rise.shape[:2], count, block).transpose(2, 0, 3, 1)

    def by_child(array: Array) -> Array:
        return jnp.pad(array, missing).T.reshape(count, block, -1)

    logits = by_child(logits)
    slope = None if slope is None else by_child(slope)
    return Block(rise, -jnp.abs(logits), (logits > 0).astype(jnp.int8), slope)


def most_in_a_block(rise: Float[Array, "parents children"]) -> Float[Array, ""]:
    """Returns the largest sum of sizes of a parent's shifts over a block of children."""
    return jnp.max(jnp.sum(jnp.abs(_in_blocks(rise, rise[:1]).rise), axis=-2))


def sum_over_blocks(
    of_block: Way,
    rise: Float[Array, "parents children"],
    logits: Float[Array, "batch children"],
    slope: Float[Array, "batch children"] | None = None,
    *,
    up: Up,
) -> Sums:
    """Returns the sum of what `of_block` makes of each block of children.

    Args:
        of_block: the way to a block's part.
        rise: the shift of each child logit when a parent unit goes up.
        logits: of the children.
        slope: see `Block`.
        up: the parents' states, in tiles.
    """

    def add(total: Array, block: Block) -> tuple[Array, None]:
        return total + of_block(block, up), None

    return jax.lax.scan(add, jnp.zeros(up.shape, rise.dtype), _in_blocks(rise, logits, slope))[0]
