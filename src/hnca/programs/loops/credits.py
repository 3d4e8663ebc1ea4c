"""Credits of the draws of one example, by HNCA's rule and by REINFORCE's, where loops stay loops."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca._precision import at_least_float32
from hnca.programs.draws import family_of
from hnca.programs.equations import Draw
from hnca.programs.infinities import finite_logits
from hnca.programs.loops.compiled import Looped
from hnca.programs.loops.reach import Place
from hnca.programs.loops.running import Record, Site, run_loops
from hnca.programs.plan import MAXIMUM_EVALUATIONS
from hnca.programs.surrogates import held
from hnca.units import Layer

_AT_ONCE = 2**22
"""How many numbers that are drawn are evaluated anew side by side, for a batch."""


class Example(NamedTuple):
    """What is known of one example once it has run.

    Attributes:
        arguments: flat.
        record: of its draws.
        coefficients: of the terms.
        terms: what each adds to the result, `[steps]` or `[]`.
        centred: the same less a baseline.
    """

    arguments: list[Array]
    record: Record
    coefficients: dict[int, Array]
    terms: list[Float[Array, "..."]]
    centred: list[Float[Array, "..."]]


def evaluations(place: Place) -> int:
    """Returns how many other values all units of a draw have in all steps together."""
    return place.units * (place.draw.categories - 1)


def hindsight(looped: Looped, example: Example, batch: int) -> dict[Site, Array]:
    """Returns the credits by HNCA's rule (Young 2022, Eqs 3 and 5), every other value of every unit run anew.

    A draw that would be run anew more than `MAXIMUM_EVALUATIONS` times is credited by the score.

    Args:
        looped: the program.
        example: its run.
        batch: how many examples are credited side by side.
    """
    # What it closes over may be differentiated outside, and credits are not.
    looped = replace(looped, program=replace(looped.program, constants=held(looped.program.constants)))
    few = {site: evaluations(place) <= MAXIMUM_EVALUATIONS for site, place in looped.sites.items()}
    of_score = by_score(looped, example)
    return {site: _hindsight(looped, example, site, batch) if few[site] else of_score[site] for site in looped.sites}


def by_score(looped: Looped, example: Example) -> dict[Site, Array]:
    """Returns the score of every draw times all that it can change (Williams 1992)."""
    credits = {}
    for site, place in looped.sites.items():
        logits, values = _units(looped, site, example.record)
        after = looped.reach.after(site, example.centred)
        if after.ndim and looped.is_reversed(site):
            after = jnp.flip(after)
        steps = len(after) if after.ndim else 1
        weight = jnp.broadcast_to(after.reshape(steps, 1), (steps, place.units // max(steps, 1))).reshape(place.units)
        score = _layer(place.draw).score(logits, values)
        credits[site] = score * weight.reshape(weight.shape + (1,) * (score.ndim - 1)).astype(score.dtype)
    return credits


def _hindsight(looped: Looped, example: Example, site: Site, batch: int) -> Array:
    draw = looped.sites[site].draw
    layer = _layer(draw)
    logits, taken = _units(looped, site, example.record)
    others, dtype = draw.categories - 1, example.terms[0].dtype
    index = _index(draw, taken)

    def alternative(unit: Array, step: Array) -> tuple[list[Array], list[Array]]:
        """Returns, for each term, the log-ratios of what can change it, and by how much it changes."""
        value = _value(draw, (index[unit] + 1 + step) % draw.categories, taken.dtype)
        changed = taken.at[unit].set(value).reshape(example.record.values[site].shape)
        found, record = run_loops(looped.program, example.arguments, {**example.record.values, site: changed})
        ratios = {other: _log_ratio(looped, other, example.record, record).astype(dtype) for other in looped.sites}
        terms = looped.terms.values(found, example.coefficients)
        said = [looped.reach.before(place, term, ratios) for place, term in enumerate(terms)]
        return said, [now - before for now, before in zip(terms, example.terms, strict=True)]

    def of_unit(unit: Array) -> Array:
        """Returns the credit of one unit."""
        said, changes = jax.vmap(alternative, in_axes=(None, 0))(unit, jnp.arange(others, dtype=jnp.int32))

        def of_step(ratio: Array, change: Array, value: Array) -> Array:
            message, contrast = (_by_value(draw, index[unit], a.astype(logits.dtype)) for a in (ratio, change))
            value = value.astype(logits.dtype)
            return layer.credit(logits[unit][None], taken[unit][None], message, value, contrast)[0]

        total = jnp.zeros_like(logits[0])
        for ratio, change, value in zip(said, changes, example.centred, strict=True):
            by_step = jax.vmap(of_step, in_axes=(-1, -1, 0)) if value.ndim else of_step
            total += jnp.sum(by_step(ratio, change, value), axis=0) if value.ndim else by_step(ratio, change, value)
        return total

    units = len(index)
    if not units:
        return jnp.zeros_like(logits)
    numbers = batch * others * sum(place.units for place in looped.sites.values())
    return jax.lax.map(of_unit, jnp.arange(units, dtype=jnp.int32), batch_size=min(max(1, _AT_ONCE // numbers), units))


def _by_value(draw: Draw, index: Array, found: Array) -> Array:
    """Returns what is said of a unit's other values, `[others]` in steps from its own, as a layer takes it."""
    if draw.values is not None:
        # Of the upper value beside the lower one.
        return found * jnp.where(index == 0, 1, -1).astype(found.dtype)
    steps = jnp.arange(draw.categories, dtype=jnp.int32) - index
    by_step = jnp.concatenate([jnp.zeros(1, found.dtype), found])
    return by_step[steps % draw.categories][None]


def _log_ratio(looped: Looped, site: Site, before: Record, after: Record) -> Float[Array, "..."]:
    """Returns how the log-probability of what a draw took has changed, `[steps]` in their order, or `[]`."""
    logits, taken = _units(looped, site, before)
    new, _ = _units(looped, site, after)
    place = looped.sites[site]
    layer = _layer(place.draw)
    ratio = layer.log_prob(new, taken) - layer.log_prob(logits, taken)
    if not place.lengths:
        return jnp.sum(ratio)
    by_step = jnp.sum(ratio.reshape(place.lengths[0], place.units // max(place.lengths[0], 1)), axis=1)
    return jnp.flip(by_step) if looped.is_reversed(site) else by_step


def _units(looped: Looped, site: Site, record: Record) -> tuple[Array, Array]:
    """Returns a draw's logits, in 32 bits at least, and values with one axis for all units of all steps."""
    draw, units = looped.sites[site].draw, looped.sites[site].units
    shape = (units,) if draw.values is not None else (units, draw.categories)
    logits = finite_logits(record.logits[site], looped.sites[site].draw.row)
    return logits.reshape(shape).astype(at_least_float32(logits.dtype)), record.values[site].reshape(units)


def _layer(draw: Draw) -> Layer:
    return family_of(draw.values, draw.categories)


def _index(draw: Draw, taken: Array) -> Array:
    if draw.values is None:
        return taken.astype(jnp.int32)
    return (taken > (draw.values[0] + draw.values[1]) / 2).astype(jnp.int32)


def _value(draw: Draw, index: Array, dtype: jnp.dtype) -> Array:
    if draw.values is None:
        return index.astype(dtype)
    return jnp.asarray(draw.values, dtype)[index]
