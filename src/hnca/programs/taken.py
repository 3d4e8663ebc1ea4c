"""A part of a program where all its draws have taken a value: evaluated as it stands, without tables."""

from collections.abc import Mapping

from jaxtyping import Array

from hnca.programs.equations import Program, run
from hnca.programs.parts import Part


def taken_by(
    program: Program, values: Mapping[str, Array], batch_shape: tuple[int, ...], draws: tuple[int, ...]
) -> dict[int, Array]:
    """Returns what some draws have taken, in the program's shapes and dtypes, with the batch axes in front.

    Args:
        program: whose draws.
        values: by the draws' names, `[*batch, units]`.
        batch_shape: the batch axes.
        draws: their outputs.
    """
    found = {}
    for draw in draws:
        name, shape = program.draws[draw].name, program.draws[draw].shape
        found[draw] = values[name].reshape(*batch_shape, *shape).astype(program.avals[draw].dtype)
    return found


def outputs_at(part: Part, arrays: Mapping[int, Array], taken: Mapping[int, Array]) -> dict[int, Array]:
    """Returns the outputs of a part for one example.

    Args:
        part: the part.
        arrays: what it reads beside draws.
        taken: what its draws have taken.
    """
    everything = run(part.program, part.equations, {**arrays, **taken})
    return {output: everything[output] for output in part.outputs}
