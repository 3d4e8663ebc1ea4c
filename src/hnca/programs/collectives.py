"""Refuses what mixes draws of this call with those of others: collectives over an axis outside of the program."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from hnca.programs.calls import NONE, Inner, Search, found_inside
from hnca.programs.dependence import drawn_in, drawn_inside
from hnca.programs.equations import Program
from hnca.programs.loop import Loop

_MIXES_NOTHING = frozenset(["pvary", "pcast"])
_DRAWN = frozenset(["drawn"])


def refuse_collectives(program: Program, wanted: set[int], sources: Iterable[int] = ()) -> None:
    """Raises a ValueError where `jax.lax.pmean` and the like read what is drawn, over an axis outside of the program.

    What others draw has a part in the result then, for which they are not credited; and what is evaluated anew for
    another value of a draw would be so in all of them at once.

    Args:
        program: the program.
        wanted: the values that have a part in its result: others are handed through, such as a mean for a table.
        sources: inputs of it that depend on draws.
    """
    drawn = drawn_in(program, sources)
    for equation in program.equations:
        if wanted.isdisjoint(equation.outputs):
            continue
        if isinstance(equation, Loop):
            refuse_collectives(equation.body, {*range(len(equation.body.avals))}, drawn_inside(equation, drawn))
            continue
        marks = [_DRAWN if value in drawn else NONE for value in equation.inputs]
        own = Inner(equation.original, marks, equation.line, {}, {}, {}, ())
        for name, axis, line in [
            *_mixing(own),
            *found_inside(equation.original, marks, equation.line, Search(_mixing)),
        ]:
            raise ValueError(
                f"hnca: jax.lax.{name} over the axis {axis!r} at {line} reads what is drawn, and mixes it with what "
                "others on that axis draw, who would not be credited for what they change here. Apply it to value and "
                "gradient, outside of the function; or write the function for all of them, with a jax.vmap of its own "
                "or whole_batch=True."
            )


def _mixing(inner: Inner) -> list[tuple[str, Any, str]]:
    """Returns the name, the axis and the line of a collective over a named axis that reads what is drawn."""
    name, params = inner.equation.primitive.name, inner.equation.params
    if name in _MIXES_NOTHING or not any(inner.marks):
        return []
    axes = params.get("axes", params.get("axis_name", ()))
    # Numbers are an array's own axes, as of a collective inside of the program's own `jax.vmap`.
    named = [a for a in (axes if isinstance(axes, tuple | list) else [axes]) if not isinstance(a, int | np.integer)]
    return [(name.removesuffix("_invariant"), named[0], inner.line)] if named else []
