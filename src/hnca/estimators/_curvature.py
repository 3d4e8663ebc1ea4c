"""A guess that learns: what a first-order guess of a change is off by, on average, for every other value of a unit."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hnca._precision import at_least_float32
from hnca.network import Network

_DECAY = 0.99
"""Of what has been seen, at every update."""


class Curvature(NamedTuple):
    """Decayed sums over what has been evaluated; their ratio is the mean.

    To second order what a slope leaves out is `(1 - 2x) / 2` times the second derivative, for a Bernoulli unit with the
    state `x`: it depends on where the unit would go alone, which is why it is kept for every alternative.

    Attributes:
        total: of `change - slope`, for every unit and the alternative it would have had.
        times: how often that has been seen.
    """

    total: Float[Array, " units alternatives"]
    times: Float[Array, " units alternatives"]


def no_curvature(network: Network, name: str) -> Curvature:
    """Returns what is known of a layer before the first update: in float32 at least, in which small steps count."""
    layer = network.layers[name]
    shape, dtype = (layer.units, layer.alternatives), at_least_float32(network.dtype)
    # Two arrays, so that a state can be donated to the next update.
    return Curvature(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))


def with_curvature(
    slopes: Float[Array, "batch units alternatives"], curvature: Curvature, taken: Int[Array, "batch units"]
) -> Float[Array, "batch units alternatives"]:
    """Returns the guesses of the changes to other values, with what they were off by so far.

    The mean is shrunk as if they had been right once before.
    """
    mean = (curvature.total / (1 + jnp.maximum(curvature.times, 0))).astype(slopes.dtype)
    is_other = jnp.arange(slopes.shape[-1], dtype=taken.dtype)[None, None] != taken[..., None]
    return slopes + jnp.where(is_other, mean[None], 0)


def learned(
    curvature: Curvature,
    off: Float[Array, " evaluations batch"],
    units: Int[Array, " evaluations batch"],
    alternatives: Int[Array, " evaluations batch"],
) -> Curvature:
    """Returns the sums with what has been evaluated in them; what is not finite is left out.

    Args:
        curvature: the sums before.
        off: the changes less their slopes.
        units: of which units they are.
        alternatives: the places of the values that these would have had.
    """
    if off.size == 0:
        return curvature
    seen = jnp.isfinite(off)
    dtype = curvature.total.dtype
    total = (_DECAY * curvature.total).at[units, alternatives].add(jnp.where(seen, off, 0).astype(dtype))
    times = (_DECAY * curvature.times).at[units, alternatives].add(seen.astype(dtype))
    return jax.lax.stop_gradient(Curvature(total, times))
