"""Samples without replacement of all the values that a layer can take together, and what each of them stands for."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from hnca.units import Bernoulli, Categorical, Layer
from hnca.units._noise import gumbel

MAXIMUM_VALUES = 65_536
"""How many joint values a layer of several units may have; one unit may have any number of categories."""

_IMPOSSIBLE = -1e4


class Share(NamedTuple):
    """What the members of a set stand for, by the set alone, in whatever order they were drawn.

    Attributes:
        weight: of each member, in an estimate of an expectation: `[members, *batch]`.
        baseline: of each member (second axis) in what is subtracted from each member's value (first axis), of sum 1:
            `[members, members, *batch]`.
    """

    weight: Float[Array, " members *batch"]
    baseline: Float[Array, " members members *batch"]


def joint_values(layer: Layer) -> int:
    """Returns how many values the units of a layer can take together."""
    return layer.alternatives**layer.units


def joint_log_probs(estimator: object, name: str, layer: Layer, logits: Float[Array, "*logits"]) -> Array:
    """Returns the log-probability of every joint value of a layer's units, `[*batch, values]`.

    Raises:
        ValueError: for a layer of another family, or of several units with too many joint values.
    """
    kind = type(estimator).__name__
    if not isinstance(layer, Bernoulli | Categorical):
        raise ValueError(
            f"{kind}: is for Bernoulli and Categorical layers, and not for {type(layer).__name__}; use HNCA."
        )
    if layer.units > 1 and joint_values(layer) > MAXIMUM_VALUES:
        raise ValueError(
            f"{kind}: layer {name!r} of {layer.units} units has {layer.alternatives}**{layer.units} joint values; "
            f"expected one unit, or at most {MAXIMUM_VALUES}. Of so many, samples hardly ever meet: use "
            "MultiSampleLeaveOneOut."
        )
    if isinstance(layer, Bernoulli):
        of_units = jnp.stack([jax.nn.log_sigmoid(-logits), jax.nn.log_sigmoid(logits)], axis=-1)
    else:
        of_units = jax.nn.log_softmax(logits)

    def beside(table: Array, unit: Array) -> Array:
        sums = table[..., None] + unit[..., None, :]
        return sums.reshape(*table.shape[:-1], sums.shape[-2] * sums.shape[-1])

    return functools.reduce(beside, [of_units[..., unit, :] for unit in range(layer.units)])


def place_of(layer: Layer, values: Array) -> Int[Array, "*batch"]:
    """Returns where the values of a layer's units stand among all joint values."""
    digits = layer.index(values)
    powers = jnp.asarray(_powers(layer), digits.dtype)
    return jnp.sum(digits * powers.reshape((1,) * (digits.ndim - 1) + (-1,)), axis=-1)


def values_at(layer: Layer, place: Int[Array, "*batch"], logits: Float[Array, "*logits"]) -> Array:
    """Returns the values of a layer's units at a place among all joint values, `[*batch, units]`."""
    digits = jnp.stack([place // power % layer.alternatives for power in _powers(layer)], axis=-1)
    return layer.alternative_values(logits.dtype)[digits]


def _powers(layer: Layer) -> list[int]:
    """Returns what a step of each unit is worth among all joint values."""
    return [layer.alternatives**power for power in reversed(range(layer.units))]


def others_without_replacement(
    key: Key[Array, ""], log_probs: Float[Array, "*batch values"], first: Int[Array, "*batch"], count: int
) -> Int[Array, " count *batch"]:
    """Draws further values, each different from the first and from each other.

    Each is drawn as if those before it could not be: the largest sums of log-probability and Gumbel noise.
    """
    noise = gumbel(key, log_probs.shape, log_probs.dtype)
    scores = jnp.maximum(log_probs.astype(noise.dtype), -1e30) + noise
    scores = jnp.where(_is_at(first, log_probs), -jnp.inf, scores)
    return jnp.moveaxis(jax.lax.top_k(scores, count)[1], -1, 0)


def shares_of(log_probs: Float[Array, "*batch values"], members: Int[Array, " members *batch"]) -> Share:
    """Returns what the members of a set drawn without replacement stand for.

    With `P(S)` the probability that a set is drawn, in any order, and `P^D` that of one drawn from D alone, a member s
    has the weight `p_s P^(all but s)(S less s) / P(S)`: the probability that s was drawn first. In the baseline of s
    another member t has that of having been drawn first of the others, times `1 - p_s`; s itself has `p_s`.
    """
    count = members.shape[0]
    among = jnp.stack([jnp.take_along_axis(log_probs, one[..., None], axis=-1)[..., 0] for one in members])
    outside = log_probs
    for one in members:
        outside = jnp.where(_is_at(one, log_probs), -jnp.inf, outside)
    # What cannot be is drawn last, if there is nothing else.
    among, outside = jnp.maximum(among, _IMPOSSIBLE), jax.nn.logsumexp(outside, axis=-1)
    rest = _log_of_the_rest(among, outside)
    last = (1 << count) - 1
    # The probability of drawing what is left of the set, in any order, once some of it have been drawn.
    left = {last: jnp.zeros_like(outside)}
    for drawn in range(last - 1, -1, -1):
        more = [(m, drawn | 1 << m) for m in range(count) if not drawn >> m & 1]
        left[drawn] = jax.nn.logsumexp(jnp.stack([among[m] - rest[drawn] + left[after] for m, after in more]), axis=0)
    weight = jnp.stack([among[m] + left[1 << m] - left[0] for m in range(count)])

    def in_baseline(of: int, other: int) -> Array:
        return among[of] if of == other else among[other] + left[1 << of | 1 << other] - left[1 << of]

    baseline = [jnp.stack([in_baseline(of, other) for other in range(count)]) for of in range(count)]
    return Share(jnp.exp(weight), jnp.exp(jnp.stack(baseline)))


def _log_of_the_rest(
    among: Float[Array, " members *batch"], outside: Float[Array, "*batch"]
) -> dict[int, Float[Array, "*batch"]]:
    """Returns the log-probability of all that is not drawn, by which of the members are: never as 1 less a sum."""
    count = among.shape[0]
    found = {(1 << count) - 1: outside}
    for drawn in range((1 << count) - 2, -1, -1):
        lowest = next(m for m in range(count) if not drawn >> m & 1)
        found[drawn] = jnp.logaddexp(found[drawn | 1 << lowest], among[lowest])
    return found


def _is_at(place: Int[Array, "*batch"], log_probs: Float[Array, "*batch values"]) -> Array:
    places = jnp.arange(log_probs.shape[-1], dtype=place.dtype).reshape((1,) * place.ndim + (-1,))
    return places == place[..., None]
