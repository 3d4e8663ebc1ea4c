"""Which other values of which units are evaluated, where not all of them are."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

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
    def is_exhaustive(self) -> bool:
        """Whether everything is evaluated, so that there is nothing to choose."""
        return self.picks == self.candidates


class Choice(NamedTuple):
    """The evaluations of a layer.

    Attributes:
        units: which unit of each example is changed, in each evaluation.
        steps: to the how-manieth alternative after the one it has taken, from 1.
        inverse: one over the probability with which a candidate is chosen.
    """

    units: Int[Array, " evaluations *batch"]
    steps: Int[Array, " evaluations *batch"]
    inverse: float


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


def choose(design: Design, key: Key[Array, ""], batch_shape: tuple[int, ...]) -> Choice:
    """Draws the evaluations of every example: `picks` of the candidates, all subsets equally likely."""
    picked = subsets(key, design.candidates, design.picks, batch_shape)
    if not design.whole:
        return Choice(picked // design.per_unit, picked % design.per_unit + 1, design.candidates / design.picks)
    units = jnp.repeat(picked, design.per_unit, axis=0)
    steps = jnp.tile(jnp.arange(1, design.per_unit + 1, dtype=picked.dtype), design.picks)
    steps = jnp.broadcast_to(steps.reshape(-1, *(1 for _ in batch_shape)), units.shape)
    return Choice(units, steps, design.candidates / design.picks)


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
