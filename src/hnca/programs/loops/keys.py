"""Notices draws in loops that share a key: from step to step, or from example to example."""

from collections.abc import Iterable, Iterator

import jax
import jax.numpy as jnp

from hnca.programs import primitives
from hnca.programs.chosen_keys import warn_of_chosen
from hnca.programs.dependence import depends_on, inputs_that_depend
from hnca.programs.equations import Draw, Program
from hnca.programs.loop import Loop, loops_of

_STEPS = (
    "has one key for all steps of a loop, so that they would not be independent; scan over keys, "
    "jax.random.split(key, steps), or carry one and split it."
)
_EXAMPLES = (
    "uses one key for the whole batch, so that the examples would not be independent; pass one key an example, "
    "jax.random.split(key, batch), with 0 for it in in_axes."
)


def require_fresh_keys(program: Program, mapped: Iterable[int]) -> None:
    """Raises a ValueError for a draw whose key is the same in all steps of a loop, or for all examples.

    Args:
        program: the program.
        mapped: its inputs that differ by example; none where there is no batch.
    """
    by_example = set(mapped)
    if by_example:
        _require(program, by_example, _EXAMPLES)
    _require_by_step(program)


def _require_by_step(program: Program) -> None:
    for loop in loops_of(program):
        body, (begun, ended) = loop.body, loop.places
        # What is carried on as it is stays the same.
        kept = {start for start, end in zip(body.inputs[begun:ended], body.outputs, strict=False) if start == end}
        _require(body, set(body.inputs[begun:]) - kept, _STEPS)
        _warn_of_chosen(loop, set(body.inputs[begun:]) - kept)
        _require_by_step(body)


def _warn_of_chosen(loop: Loop, moving: set[int]) -> None:
    """Warns of draws whose key changes from step to step by nothing but what is drawn: it may come to be the same.

    Of a key that is carried, and of which by what is drawn another one is made, every one is another.

    Args:
        loop: the loop.
        moving: the inputs of its steps that change from step to step.
    """
    body, (begun, ended) = loop.body, loop.places
    drawn = {*body.draws, *(output for inner in loops_of(body) for output in inner.outputs)}
    while True:
        found = depends_on(body, drawn, through_draws=True, not_through=primitives.KEYS)
        carried = zip(body.inputs[begun:ended], body.outputs, strict=False)
        more = {start for start, end in carried if end in found and not _may_be_key(body, start)} - drawn
        if not more:
            break
        drawn |= more
    for draw in _unmoved(body, moving - drawn):
        warn_of_chosen(f"steps of draw {draw.name!r} at {draw.line}")


def _may_be_key(program: Program, value: int) -> bool:
    dtype = program.avals[value].dtype
    return jnp.issubdtype(dtype, jax.dtypes.prng_key) or dtype == jnp.uint32


def _require(program: Program, moving: set[int], message: str) -> None:
    """Raises a ValueError unless all keys of draws depend on what differs."""
    for draw in _unmoved(program, moving):
        raise ValueError(f"hnca: draw {draw.name!r} at {draw.line} {message}")


def _unmoved(program: Program, moving: set[int]) -> Iterator[Draw]:
    """Yields the draws, also of loops inside, whose keys do not depend on what differs."""
    found = depends_on(program, moving, through_draws=False)
    for draw in program.draws.values():
        if draw.given is None and draw.key not in found:
            yield draw
    for loop in loops_of(program):
        yield from _unmoved(loop.body, inputs_that_depend(loop, found, through_draws=False))
