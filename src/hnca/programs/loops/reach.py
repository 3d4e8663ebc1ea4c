"""Which draws can change which terms, step by step: no draw changes what came before it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.programs.dependence import depends_on, inputs_that_change
from hnca.programs.equations import Draw, Program
from hnca.programs.loop import Loop, loops_of
from hnca.programs.loops.running import Site
from hnca.programs.loops.terms import Leaf, Terms

NEVER, WHOLE, HERE, FROM_HERE, FROM_NEXT = "never", "whole", "here", "from here", "from next"
"""How a draw reaches a term: not; as a whole; in its own step of their loop; there and in all later ones; in those."""


@dataclass(frozen=True)
class Reach:
    """How every draw reaches every term.

    Attributes:
        ways: by site, one for each leaf in order. What is said of a draw in loops has an axis of steps, those of the
            outermost loop.
    """

    ways: Mapping[Site, tuple[str, ...]]

    def after(self, site: Site, terms: list[Float[Array, "..."]]) -> Float[Array, "..."]:
        """Returns the sum of all that a draw can change, `[steps]` or `[]`, in the order of steps."""
        total = jnp.zeros((), terms[0].dtype)
        for way, term in zip(self.ways[site], terms, strict=True):
            if way == NEVER:
                continue
            if way in (WHOLE, HERE):
                total = total + (jnp.sum(term) if way == WHOLE else term)
                continue
            later = jnp.cumsum(jnp.flip(term))
            total = total + jnp.flip(later if way == FROM_HERE else _without_the_last(later))
        return total

    def before(self, leaf: int, term: Array, by_site: Mapping[Site, Array]) -> Float[Array, "..."]:
        """Returns, in the shape of a term, the sum of what is said of all draws that can change it.

        Args:
            leaf: the number of the term among all.
            term: `[steps]` or `[]`.
            by_site: what is said of every draw, `[steps]` or `[]`, in the order of steps.
        """
        total = jnp.zeros_like(term)
        for site, said in by_site.items():
            way = self.ways[site][leaf]
            if way in (WHOLE, HERE):
                total += jnp.sum(said) if way == WHOLE else said
            elif way != NEVER:
                sofar = jnp.cumsum(said)
                total += sofar if way == FROM_HERE else _without_the_last(sofar)
        return total


def _without_the_last(sums: Float[Array, " steps"]) -> Float[Array, " steps"]:
    """Returns running sums without their last summands, beside which others may be lost: a mask is of 1e9 nats."""
    return jnp.concatenate([jnp.zeros_like(sums[:1]), sums[:-1]])


def reach_of(program: Program, terms: Terms) -> Reach:
    """Returns how every draw of a program reaches every term."""
    ways: dict[Site, tuple[str, ...]] = {}
    for site in sites_of(program):
        first = site[0]
        loop = next((loop for loop in loops_of(program) if loop.outputs[0] == first), None)
        if loop is None:
            after = depends_on(program, {first}, through_draws=True)
            ways[site] = tuple(WHOLE if leaf.value in after else NEVER for leaf in terms.leaves)
        else:
            changed = _changed_by(program, loop, site)
            ways[site] = tuple(_way(loop, leaf, changed) for leaf in terms.leaves)
    return Reach(ways)


class Place(NamedTuple):
    """A draw, where it stands.

    Attributes:
        draw: the draw.
        lengths: how many steps each loop around it has, from the outermost on.
        dtype: of what it draws.
    """

    draw: Draw
    lengths: tuple[int, ...]
    dtype: jnp.dtype

    @property
    def units(self) -> int:
        """How many units it has in all steps together."""
        return math.prod(self.lengths) * self.draw.units


def sites_of(program: Program) -> dict[Site, Place]:
    """Returns every draw of a program, those inside loops too."""
    found: dict[Site, Place] = {}
    for step in program.steps:
        if isinstance(step, Draw):
            found[(step.output,)] = Place(step, (), program.avals[step.output].dtype)
        elif isinstance(step, Loop):
            for site, inside in sites_of(step.body).items():
                lengths = (step.length, *inside.lengths)
                found[(step.outputs[0], *site)] = inside._replace(lengths=lengths)
    return found


class _Changed(NamedTuple):
    """What a draw in a loop can change of a program.

    Attributes:
        values: everything.
        here: what comes of the rows that it changes in its own step.
        later: what comes of the rows that it changes in later steps, by what is carried.
    """

    values: set[int]
    here: set[int]
    later: set[int]


def _changed_by(program: Program, loop: Loop, site: Site) -> _Changed:
    body, (begun, ended) = loop.body, loop.places
    root = next((e.outputs for e in loops_of(body) if e.outputs[0] == site[1]), (site[1],))
    within = depends_on(body, {*root}, through_draws=True)
    carried = zip(body.inputs[begun:ended], body.outputs, strict=False)
    then = inputs_that_change(loop, {start for start, end in carried if end in within}, through_draws=True)
    after = depends_on(body, then, through_draws=True)
    made = list(zip(loop.outputs, body.outputs, strict=True))
    ends, rows = made[: loop.places.carried], made[loop.places.carried :]
    here, later = ({row for row, value in rows if value in found} for found in (within, after))
    changed = {end for end, value in ends if value in within | after} | here | later
    values, of_here, of_later = (depends_on(program, found, through_draws=True) for found in (changed, here, later))
    return _Changed(values, of_here, of_later)


def _way(loop: Loop, leaf: Leaf, changed: _Changed) -> str:
    if leaf.value not in changed.values:
        return NEVER
    if leaf.loop is not loop:
        return WHOLE
    if leaf.value not in changed.later:
        return HERE
    return FROM_HERE if leaf.value in changed.here else FROM_NEXT
