r"""The message of Bernoulli children through a dense weight, at a few times the price of a matrix product.

Flipping parent unit `i` shifts child logit `a_j` by `delta_ij = s_i span W_ij`, `s_i` being 1 for a unit that is low
and -1 for one that is up, and the log-probability of the children by

    sum_j c_j delta_ij - sum_j log(1 + sigmoid(a_j) (e^(delta_ij) - 1)).

The first sum is a matrix product. The second is the log of a product of factors, one log for a block of children. To
lose no digits where a child is nearly certain, `delta` is first taken out of the factors of children with `a_j > 0`
(`t_j = 1`, else 0):

    sum_j (c_j - t_j) delta_ij - sum_j log(1 + sigmoid(-|a_j|) (e^(+-delta_ij) - 1)),

whose factors are never below 1/2, and `e^(+-delta) - 1` has two values a weight, whatever the batch. What is left for
every example, parent and child is a choice, a multiply-add and a multiply, and nothing of size
batch * parents * children is ever held.

There are three ways to the product, the later ones computed only where those before overflow: factors multiplied as
they are (the usual case), with the exponent taken out of the product after every other one (|delta| up to 44 in
float32), and with an exponential for every one (weights of any size).
"""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hnca._precision import in_full_precision
from hnca.messages.blocks import Block, Sums, Up, from_tiles, parents_up, sum_over_blocks
from hnca.messages.fallback import fast_unless, instead_if


@in_full_precision
@partial(jax.jit, static_argnames="span", inline=True)
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


@in_full_precision
@partial(jax.jit, static_argnames="span", inline=True)
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


def _log_product(weight: Array, span: float, logits: Array, parent_state: Array) -> Array:
    """Returns `sum_j log(1 + sigmoid(-|a_j|) (e^(+-delta_ij) - 1))`, `+` where `a_j <= 0`."""

    def two_fit(rise: Array) -> Array:
        """Whether two factors of this size still have a finite product."""
        return jnp.max(jnp.abs(rise)) < 0.5 * float(np.log(float(jnp.finfo(rise.dtype).max)))

    def always(rise: Array, logits: Array, up: Up) -> Array:
        return sum_over_blocks(_log_of_bounded_products, rise, logits, up=up)

    def fast(rise: Array, logits: Array, up: Up) -> Array:
        """Factors are never below 1/2, so that a product once out of range stays so, and shows."""
        sums = sum_over_blocks(_log_of_products, rise, logits, up=up)
        overflown = ~jnp.isfinite(jnp.max(sums))
        split = partial(sum_over_blocks, _log_of_split_products, logits=logits, up=up)
        return instead_if(two_fit(rise) & overflown, sums, split, rise)

    rise, logits = span * weight, logits.reshape(-1, logits.shape[-1])
    return from_tiles(fast_unless(~two_fit(rise), fast, always, rise, logits, parents_up(parent_state)), parent_state)


def _log_of_products(block: Block, up: Up) -> Sums:
    """The fast way: multiply the factors as they are."""
    product = jnp.ones(up.shape, block.rise.dtype)
    for excess in _factors_less_one(block, up):
        product = product + product * excess
    return jnp.log(product)


def _log_of_split_products(block: Block, up: Up) -> Sums:
    """The way for `|delta|` up to half the range of floats: takes the exponent out after every other factor."""
    product = jnp.ones(up.shape, block.rise.dtype)
    exponents = jnp.zeros(up.shape, _bits(product).dtype)
    for count, excess in enumerate(_factors_less_one(block, up), start=1):
        product = product + product * excess
        if count % 2 == 0:
            exponent, product = _exponent_and_mantissa(product)
            exponents = exponents + exponent
    return jnp.log(product) + exponents.astype(product.dtype) * np.log(2).astype(product.dtype)


def _factors_less_one(block: Block, up: Up) -> Iterator[Array]:
    """Yields `sigmoid(-|a_j|) (e^(+-delta_ij) - 1)` of every child of the block.

    To be used as `product + product * excess`: `product * (1 + excess)` costs the same, but rounds to a grid around 1,
    where the ties of products all break downwards, an error that adds up over the children.
    """
    probability = jax.nn.sigmoid(block.below)
    rising, falling = jnp.exp(block.rise) - 1, jnp.exp(-block.rise) - 1
    for child in range(block.rise.shape[1]):
        falls = up != block.positive[child][None, :, None]
        change = jnp.where(falls, falling[:, child, None], rising[:, child, None])
        yield probability[child][None, :, None] * change


def _exponent_and_mantissa(x: Array) -> tuple[Array, Array]:
    """Splits `x = 2^exponent * mantissa`, mantissa in [1, 2), for positive normal numbers; cheaper than `frexp`."""
    digits = jnp.finfo(x.dtype).nmant
    bits = _bits(x)
    exponent = (bits - _bits(jnp.ones_like(x))) >> digits
    return exponent, (bits - (exponent << digits)).view(x.dtype)


def _bits(x: Array) -> Array:
    return x.view(f"int{jnp.finfo(x.dtype).bits}")


def _log_of_bounded_products(block: Block, up: Up) -> Sums:
    """The way for weights of any size, with an exponential for every factor.

    With `z = +-delta - |a|`, a factor is `sigmoid(|a|) e^(max(z, 0)) (1 + e^(-|z|))`, the last of which is in (1, 2].
    """
    certainty = jax.nn.log_sigmoid(-block.below)
    product = jnp.ones(up.shape, block.rise.dtype)
    total = jnp.zeros(up.shape, block.rise.dtype)
    for child in range(block.rise.shape[1]):
        falls = up != block.positive[child][None, :, None]
        shift = jnp.where(falls, -block.rise[:, child, None], block.rise[:, child, None])
        excess = shift + block.below[child][None, :, None]
        product = product * (1 + jnp.exp(-jnp.abs(excess)))
        total = total + (certainty[child][None, :, None] + jnp.maximum(excess, 0))
    return total + jnp.log(product)
