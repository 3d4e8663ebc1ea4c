"""Runs a program whose loops stay loops."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from hnca.programs.equations import Draw, Program, read
from hnca.programs.loop import Loop
from hnca.programs.passes import drawn
from hnca.programs.possible import can_be_taken

Site = tuple[int, ...]
"""Where a draw stands: the first results of the loops around it, from the outermost on, then its own output."""


class Record(NamedTuple):
    """What a run leaves behind of its draws; inside loops an axis for each loop's steps comes first.

    Attributes:
        values: by site.
        logits: by site.
        possible: whether all that was given could have been drawn.
    """

    values: dict[Site, Array]
    logits: dict[Site, Array]
    possible: Bool[Array, ""]


def run_loops(
    program: Program, arguments: Sequence[Array], given: Mapping[Site, Array] | None = None
) -> tuple[dict[int, Array], Record]:
    """Runs a program for one example; gradients are stopped at what is drawn.

    Args:
        program: the program.
        arguments: flat.
        given: values for all draws; None to draw them.

    Returns:
        Every value by its number, and the draws.
    """
    held: dict[int, Array] = {**program.constants, **dict(zip(program.inputs, arguments, strict=True))}
    values: dict[Site, Array] = {}
    logits: dict[Site, Array] = {}
    possible = jnp.ones((), bool)
    for step in program.steps:
        if isinstance(step, Draw):
            site = (step.output,)
            logits[site] = jnp.asarray(read(program, held, step.logits))
            taken = given[site] if given is not None else drawn(program, held, step)
            possible &= can_be_taken(step, logits[site], taken)
            held[step.output] = values[site] = jax.lax.stop_gradient(taken)
            continue
        inputs = [jnp.asarray(read(program, held, atom)) for atom in step.inputs]
        if not isinstance(step, Loop):
            held.update(zip(step.outputs, step.apply(inputs), strict=True))
            continue
        first = step.outputs[0]
        inside = None if given is None else {site[1:]: a for site, a in given.items() if site[0] == first}
        results, record = _run_loop(step, inputs, inside)
        held.update(zip(step.outputs, results, strict=True))
        values.update({(first, *site): a for site, a in record.values.items()})
        logits.update({(first, *site): a for site, a in record.logits.items()})
        possible &= jnp.all(record.possible)
    return held, Record(values, logits, possible)


def _run_loop(loop: Loop, inputs: Sequence[Array], given: Mapping[Site, Array] | None) -> tuple[list[Array], Record]:
    begun, ended = loop.places
    fixed, carried = inputs[:begun], loop.places.carried

    def one(carry: list[Array], rows: tuple[list[Array], dict[Site, Array] | None]) -> tuple[list[Array], tuple]:
        stacked, here = rows
        held, record = run_loops(loop.body, [*fixed, *carry, *stacked], here)
        results = [jnp.asarray(read(loop.body, held, atom)) for atom in loop.body.outputs]
        return results[:carried], (results[carried:], record)

    rows = (list(inputs[ended:]), None if given is None else dict(given))
    carry, (stacked, record) = jax.lax.scan(
        one, list(inputs[begun:ended]), rows, length=loop.length, reverse=loop.reverse
    )
    return [*carry, *stacked], record
