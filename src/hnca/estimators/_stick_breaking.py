"""Antithetic pairs of categorical samples, by way of sticks.

A category is drawn by independent Bernoulli units, the *sticks*: each is one category's, in the order of their
probabilities, and is up with the probability of that category given that none before it was taken; the first stick that
is up is the category. Two samples are antithetic if their sticks are. Arrays here are in the order of the sticks.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from hnca._precision import at_least_float32


class Sticks(NamedTuple):
    """The sticks of every unit of a categorical layer.

    Attributes:
        order: the category of each stick.
        rank: the stick of each category.
        logits: of the categories.
        rest: log of the sum of the exponentials of all later logits; minus infinity where there is nothing later.
        own: each stick's own logit: infinite for the last that can be, minus infinity for one that cannot.
    """

    order: Int[Array, "*batch units categories"]
    rank: Int[Array, "*batch units categories"]
    logits: Float[Array, "*batch units categories"]
    rest: Float[Array, "*batch units categories"]
    own: Float[Array, "*batch units categories"]

    @property
    def is_last(self) -> Bool[Array, "*batch units categories"]:
        """Whether no later category can be."""
        return jnp.isneginf(self.rest)

    def by_category(self, array: Float[Array, "*batch units categories"]) -> Float[Array, "*batch units categories"]:
        """Returns an array in the order of the categories."""
        return jnp.take_along_axis(array, self.rank, axis=-1)


class Pair(NamedTuple):
    """Two samples by their sticks.

    Attributes:
        first: the stick of the first.
        second: the stick of the second.
        uniform: what made the first sample's sticks: each is up where it is below the stick's probability.
    """

    first: Int[Array, "*batch units 1"]
    second: Int[Array, "*batch units 1"]
    uniform: Float[Array, "*batch units categories"]


def sticks_of(logits: Float[Array, "*batch units categories"]) -> Sticks:
    """Returns the sticks, the likeliest category's first, which lets a pair differ most often."""
    order = jnp.argsort(logits, axis=-1, descending=True).astype(jnp.int32)
    arranged = jnp.take_along_axis(logits, order, axis=-1)
    from_here = jax.lax.cumlogsumexp(arranged, axis=arranged.ndim - 1, reverse=True)
    rest = jnp.concatenate([from_here[..., 1:], jnp.full_like(from_here[..., :1], -jnp.inf)], axis=-1)
    impossible = jnp.isneginf(arranged)
    rest = jnp.where(jnp.isnan(rest), -jnp.inf, rest)
    own = jnp.where(impossible, -jnp.inf, jnp.where(impossible, 0, arranged) - rest)
    return Sticks(order, jnp.argsort(order, axis=-1).astype(jnp.int32), arranged, rest, own)


def antithetic_pair(sticks: Sticks, key: Key[Array, ""], values: Int[Array, "*batch units"]) -> Pair:
    """Draws the second sample, and what made the first one."""
    dtype, shape = sticks.logits.dtype, sticks.logits.shape
    first = jnp.take_along_axis(sticks.rank, values[..., None], axis=-1)
    probability, places = jax.nn.sigmoid(sticks.own), _places(sticks)
    fresh = jax.random.uniform(key, shape, at_least_float32(dtype)).astype(dtype)
    # Down before the first sample's stick, up at it, and of what comes after it nothing is known.
    down, up = probability + fresh * (1 - probability), fresh * probability
    uniform = jnp.where(places < first, down, jnp.where(places == first, up, fresh))
    is_up = (1 - uniform < probability) | sticks.is_last
    return Pair(first, jnp.argmax(is_up, axis=-1, keepdims=True).astype(first.dtype), uniform)


def category_of(sticks: Sticks, stick: Int[Array, "*batch units 1"]) -> Int[Array, "*batch units"]:
    """Returns the category of a stick of every unit."""
    return jnp.take_along_axis(sticks.order, stick, axis=-1)[..., 0]


def coupled_credit(sticks: Sticks, pair: Pair) -> Float[Array, "*batch units categories"]:
    """Returns the credits, by category, of DisARM on the sticks, given the two samples alone.

    The first stick where the samples part has DisARM's credit; those after it, up to the later sample's, which only one
    of the samples depends on, have REINFORCE's; the others expect none. On the logits this comes to `c e_m - e_M + (1 -
    c) q`, if m is the earlier sample, M the later one, c the probability of the likelier value of m's stick and q the
    distribution of what comes after m.
    """
    places = _places(sticks)
    earlier, later = jnp.minimum(pair.first, pair.second), jnp.maximum(pair.first, pair.second)
    differ, own = earlier != later, jnp.take_along_axis(sticks.own, earlier, axis=-1)
    rest = jnp.where(differ, jnp.take_along_axis(sticks.rest, earlier, axis=-1), 0)
    dtype = own.dtype
    after = jnp.where(differ & (places > earlier), jnp.exp(sticks.logits - rest), 0)
    credit = jnp.where(places == earlier, jax.nn.sigmoid(jnp.abs(own)), jax.nn.sigmoid(-jnp.abs(own)) * after)
    sign = jnp.sign(pair.second - pair.first).astype(dtype)
    return sticks.by_category(sign * (credit - (places == later).astype(dtype)) / 2)


def uniform_credit(sticks: Sticks, pair: Pair) -> Float[Array, "*batch units categories"]:
    """Returns the credits, by category, of ARM on the sticks: less the noise of those that neither sample reaches."""
    reached = _places(sticks) <= jnp.maximum(pair.first, pair.second)
    on_sticks = jnp.where(reached & ~sticks.is_last, 0.5 - pair.uniform, 0)

    def both(one: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
        return one[0] * other[0], other[0] * one[1] + other[1]

    # A stick's logit answers to its category's by 1, and to each later one's by minus its share of what comes after.
    axis = on_sticks.ndim - 1
    _, summed = jax.lax.associative_scan(both, (jax.nn.sigmoid(-sticks.own), on_sticks), axis=axis)
    before = jnp.concatenate([jnp.zeros_like(summed[..., :1]), summed[..., :-1]], axis=-1)
    return sticks.by_category(on_sticks - jax.nn.sigmoid(sticks.own) * before)


def _places(sticks: Sticks) -> Int[Array, "*ones categories"]:
    shape = sticks.logits.shape
    return jnp.arange(shape[-1], dtype=jnp.int32).reshape((1,) * (len(shape) - 1) + (-1,))
