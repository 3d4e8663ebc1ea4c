"""A choice that learns: units whose guess is far off, and who could take another value, are evaluated more often."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hnca._precision import at_least_float32
from hnca.network import Network

_DECAY = 0.99
"""Of what has been seen, at every update."""
_UNIFORM = 0.1
"""The share of the evaluations for which all units are equally likely, so that no weight is above ten times theirs."""
_LEAST = 1e-4
"""Nats of entropy, below which what a unit's credit was off by says nothing of its guess."""


class Preference(NamedTuple):
    """Decayed sums over the units that were evaluated; their ratio is the mean.

    The variance of the corrected credit is least if a unit is chosen with a probability proportional to what its credit
    would be corrected by. That is small where the unit has next to no entropy, which is known for every example, and
    otherwise the unit's own, which is learned.

    Attributes:
        squares: of the credit's correction in units of the unit's entropy, for every unit.
        times: how often that has been seen.
    """

    squares: Float[Array, " units"]
    times: Float[Array, " units"]


def no_preference(network: Network, name: str) -> Preference:
    """Returns what is known of a layer before the first update: in float32 at least, in which small steps count."""
    units, dtype = network.layers[name].units, at_least_float32(network.dtype)
    # Two arrays, so that a state can be donated to the next update.
    return Preference(jnp.zeros(units, dtype), jnp.zeros(units, dtype))


def preferred(known: Preference, entropy: Float[Array, "*batch units"]) -> Float[Array, "*batch units"]:
    """Returns weights to choose by, of mean 1 over an example's units, none below `_UNIFORM`.

    A unit is taken to be off by the mean of all as if that had been seen of it once. Before anything was seen all
    units are alike.
    """
    times = jnp.maximum(known.times, 0)
    seen = jnp.sum(times) > 0
    mean = jnp.sum(known.squares) / jnp.maximum(jnp.sum(times), 1)
    size = jnp.sqrt(jnp.maximum((known.squares + mean) / (1 + times), 0)).astype(entropy.dtype)
    weights = jnp.maximum(entropy, 0) * size.reshape((1,) * (entropy.ndim - 1) + size.shape)
    mean_weight = jnp.mean(weights, axis=-1, keepdims=True)
    known_weights = jnp.where(mean_weight > 0, weights / jnp.where(mean_weight > 0, mean_weight, 1), 1)
    return jnp.where(seen, (1 - _UNIFORM) * known_weights + _UNIFORM, 1)


def learned_preference(
    known: Preference,
    correction: Float[Array, "batch units"],
    entropy: Float[Array, "batch units"],
    units: Int[Array, " evaluations batch"],
) -> Preference:
    """Returns the sums with what has been evaluated in them; what is not finite is left out.

    Args:
        known: the sums before.
        correction: the size of what the credits of the chosen units were corrected by.
        entropy: of every unit, in nats.
        units: the chosen.
    """
    if units.size == 0:
        return known
    rows = jnp.broadcast_to(jnp.arange(units.shape[1]), units.shape)
    square = jnp.square(correction / jnp.maximum(entropy, _LEAST))[rows, units]
    seen = jnp.isfinite(square)
    dtype = known.squares.dtype
    squares = (_DECAY * known.squares).at[units].add(jnp.where(seen, square, 0).astype(dtype))
    times = (_DECAY * known.times).at[units].add(seen.astype(dtype))
    return jax.lax.stop_gradient(Preference(squares, times))
