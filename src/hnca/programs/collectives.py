"""Refuses what mixes draws of this call with those of others: collectives over an axis outside of the program."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from hnca.programs.dependence import drawn_in, drawn_inside
from hnca.programs.equations import Program
from hnca.programs.inside import inner_jaxprs
from hnca.programs.loop import Loop

_BINDS_AXES = frozenset(["shard_map"])
_MIXES_NOTHING = frozenset(["pvary", "pcast"])


def refuse_collectives(program: Program, sources: Iterable[int] = ()) -> None:
    """Raises a ValueError where `jax.lax.pmean` and the like read what is drawn, over an axis outside of the program.

    What others draw has a part in the result then, for which they are not credited; and what is evaluated anew for
    another value of a draw would be so in all of them at once.

    Args:
        program: the program.
        sources: inputs of it that depend on draws.
    """
    drawn = drawn_in(program, sources)
    for equation in program.equations:
        if isinstance(equation, Loop):
            refuse_collectives(equation.body, drawn_inside(equation, drawn))
            continue
        mixed = None if drawn.isdisjoint(equation.inputs) else _mixed_by(equation.original)
        if mixed is not None:
            name, axis = mixed
            raise ValueError(
                f"hnca: jax.lax.{name} over the axis {axis!r} at {equation.line} reads what is drawn, and mixes it "
                "with what others on that axis draw, who would not be credited for what they change here. Apply it to "
                "value and gradient, outside of the function; or write the function for all of them, with a jax.vmap "
                "of its own or whole_batch=True."
            )


def _mixed_by(equation: Any) -> tuple[str, Any] | None:
    """Returns the name of a collective over a named axis, and the axis: an equation, or one inside of it."""
    name = equation.primitive.name
    if name in _BINDS_AXES | _MIXES_NOTHING:
        return None
    axes = equation.params.get("axes", equation.params.get("axis_name", ()))
    # Numbers are an array's own axes, as of a collective inside of the program's own `jax.vmap`.
    named = [a for a in (axes if isinstance(axes, tuple | list) else [axes]) if not isinstance(a, int | np.integer)]
    if named:
        return name.removesuffix("_invariant"), named[0]
    inside = (_mixed_by(each) for inner in inner_jaxprs(equation.params) for each in inner.eqns)
    return next((found for found in inside if found is not None), None)
