"""Which other values of which units are evaluated, where not all of them are."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from hnca._precision import at_least_float32
from hnca.units import Layer


class Design(NamedTuple):
    """How the evaluations of a layer are chosen, for every example.

    Attributes:
        candidates: how many there are to choose among: other values of units or, if `whole`, units.
        picks: how many of them are chosen.
        whole: whether all other values of a chosen unit are evaluated.
        per_unit: how many other values a unit has.
    """

    candidates: int
    picks: int
    whole: bool
    per_unit: int

    @property
    def evaluations(self) -> int:
        """How many evaluations an example takes."""
        return self.picks * (self.per_unit if self.whole else 1)

    @property
    def is_by_unit(self) -> bool:
        """Whether units are chosen, and not some of their other values."""
        return self.whole or self.per_unit == 1

    @property
    def is_exhaustive(self) -> bool:
        """Whether everything is evaluated, so that there is nothing to choose."""
        return self.picks == self.candidates


class Choice(NamedTuple):
    """The evaluations of a layer.

    Attributes:
        units: which unit of each example is changed, in each evaluation.
        steps: to the how-manieth alternative after the one it has taken, from 1.
        inverse: one over the probability with which a candidate is chosen: one number, or one a unit.
    """

    units: Int[Array, " evaluations *batch"]
    steps: Int[Array, " evaluations *batch"]
    inverse: float | Float[Array, "*batch units"]


def design_of(layer: Layer, most: int | None, whole: bool) -> Design:
    """Returns how the evaluations of a layer are chosen.

    Args:
        layer: whose units are changed.
        most: how many other values of units an example may have evaluated; None for all.
        whole: whether a chosen unit needs all its other values, of which there may be more than `most`.
    """
    per_unit = layer.alternatives - 1
    whole = whole and per_unit > 1
    candidates = layer.units if whole else layer.units * per_unit
    picks = candidates if most is None else max(1, most // per_unit) if whole else most
    return Design(candidates, min(picks, candidates), whole, per_unit)


def choose(
    design: Design,
    key: Key[Array, ""],
    batch_shape: tuple[int, ...],
    weights: Float[Array, "*batch units"] | None = None,
) -> Choice:
    """Draws the evaluations of every example: `picks` of the candidates.

    Args:
        design: how many of how many.
        key: from which they are drawn.
        batch_shape: of the examples.
        weights: positive, to which the probabilities of the units are proportional as far as none is above 1; None
            for all subsets of candidates equally likely. Only of a design by unit.
    """
    inverse: float | Array = design.candidates / design.picks
    if weights is None:
        picked = subsets(key, design.candidates, design.picks, batch_shape)
    else:
        ends = ends_of(weights.astype(at_least_float32(weights.dtype)), design.picks)
        picked = falling(ends, offsets(key, batch_shape, ends), design.picks)
        inverse = 1 / jnp.diff(ends, axis=-1, prepend=0)
    if not design.whole:
        return Choice(picked // design.per_unit, picked % design.per_unit + 1, inverse)
    units = jnp.repeat(picked, design.per_unit, axis=0)
    steps = jnp.tile(jnp.arange(1, design.per_unit + 1, dtype=picked.dtype), design.picks)
    steps = jnp.broadcast_to(steps.reshape(-1, *(1 for _ in batch_shape)), units.shape)
    return Choice(units, steps, inverse)


def ends_of(weights: Float[Array, "*batch units"], size: int) -> Float[Array, "*batch units"]:
    """Returns the ends of adjoining intervals from 0 to `size`, as long as the units' probabilities to be chosen.

    These are proportional to the weights, but for those that would be above 1 and are 1.
    """

    # Round by round those above 1 are cut off and the others share the rest; fewer than `size` can be cut off. On a CPU
    # that is quicker than to sort them.
    def cut(_: object, probabilities: Array) -> Array:
        certain = probabilities >= 1
        left = size - jnp.sum(certain, axis=-1, keepdims=True, dtype=weights.dtype)
        share = jnp.where(certain, 0, weights)
        total = jnp.sum(share, axis=-1, keepdims=True)
        return jnp.where(certain, 1, share * (left / jnp.where(total > 0, total, 1)))

    probabilities = weights * (size / jnp.sum(weights, axis=-1, keepdims=True))
    probabilities = jax.lax.fori_loop(0, size - 1, cut, probabilities)
    ends = jnp.cumsum(jnp.minimum(probabilities, 1), axis=-1)
    return ends * (size / ends[..., -1:])


def offsets(key: Key[Array, ""], batch_shape: tuple[int, ...], like: Array) -> Float[Array, "*batch"]:
    """Draws a number from 0 to below 1 for every example, in the dtype of `like`."""
    return jax.random.uniform(key, batch_shape, like.dtype)


def falling(
    ends: Float[Array, "*batch units"], offset: Float[Array, "*batch"], size: int
) -> Int[Array, " size *batch"]:
    """Returns the intervals into which the offset falls, and those into which it falls 1, 2, ... further on.

    Systematic sampling: no interval being longer than 1, none is found twice, and each as often as it is long.
    """
    points = offset[None] + jnp.arange(size, dtype=offset.dtype).reshape(-1, *(1 for _ in offset.shape))
    passed = jnp.sum(ends[None] <= points[..., None], axis=-1, dtype=jnp.int32)
    return jnp.minimum(passed, ends.shape[-1] - 1)


def subsets(key: Key[Array, ""], of: int, size: int, batch_shape: tuple[int, ...]) -> Int[Array, " size *batch"]:
    """Draws a subset of the numbers from 0 for every example, without replacement, all subsets equally likely.

    Source: Floyd's algorithm (Bentley and Floyd, *A sample of brilliance*, 1987): as many random numbers as it draws.
    """
    steps = jnp.arange(size, dtype=jnp.int32)
    places = steps.reshape(-1, *(1 for _ in batch_shape))
    last = of - size + places
    drawn = jax.random.randint(key, (size, *batch_shape), 0, last + 1, dtype=jnp.int32)

    def add(found: Array, step: tuple[Array, Array, Array]) -> tuple[Array, None]:
        place, one, instead = step
        is_there = jnp.any((found == one[None]) & (places < place), axis=0)
        return jnp.where(places == place, jnp.where(is_there, instead, one)[None], found), None

    return jax.lax.scan(add, jnp.zeros_like(drawn), (steps, drawn, jnp.broadcast_to(last, drawn.shape)))[0]
