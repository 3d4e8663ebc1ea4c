"""How each value of a program answers to each draw it reads: element by element, linearly, or otherwise.

*Element by element*: every element reads one unit of the draw (or none), so a table over the unit's alternatives says
all, whatever the arithmetic: `2h - 1`, `where(h, a, b)`, `one_hot(z)`, `W[z]`. *Linearly*: a sum of such tables through
linear maps. Another draw's value counts as a given number; a draw is read directly if no other draw lies between.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from hnca.programs import primitives
from hnca.programs.equations import Draw, Equation, Program
from hnca.programs.magnitudes import WIDE, are_exact_floats


@dataclass(frozen=True)
class ByUnit:
    """Every element reads one unit.

    Attributes:
        index: in the value's shape, the number of the unit, -1 where none is read.
    """

    index: np.ndarray


MANY_CATEGORIES = 64
MAXIMUM_TABLE, MAXIMUM_SHARED_TABLE = 2**20, 2**26
"""How many numbers a table over many categories may be: one that each example has of its own, and one for all.

What is made of the draw of a word out of 50,000 is not tabulated, but evaluated anew: for all other values, for the few
that an estimator chooses, or for none.
"""

LINEAR, NONLINEAR = "linear", "nonlinear"
Kind = ByUnit | str
Kinds = dict[int, dict[int, Kind]]
"""For every value, by the output of the draw that it reads directly."""


def kinds_of(program: Program, by_example: Collection[int] = ()) -> Kinds:
    """Returns how every value answers to the draws it reads directly.

    Args:
        program: the program.
        by_example: the values that differ by example even where no draw does.
    """
    kinds: Kinds = {}
    for step in program.steps:
        if isinstance(step, Draw):
            index = np.arange(step.units).reshape(step.shape)
            kinds[step.output] = {step.output: ByUnit(index)}
            continue
        reads = list(dict.fromkeys(draw for value in step.inputs for draw in kinds.get(value, ())))
        for output in step.outputs:
            own = any(output in by_example for output in step.outputs)
            kinds[output] = {draw: _kind(program, step, draw, kinds, own) for draw in reads}
    return kinds


def _kind(program: Program, equation: Equation, draw: int, kinds: Kinds, own: bool) -> Kind:
    if len(equation.outputs) != 1 or _has_complex_numbers(program, equation):
        return NONLINEAR
    of_inputs = [kinds.get(value, {}).get(draw) for value in equation.inputs]
    if _may_be_tabulated(program, equation, draw, own) and all(
        kind is None or isinstance(kind, ByUnit) for kind in of_inputs
    ):
        index = unit_index(program, equation, [kind.index if isinstance(kind, ByUnit) else None for kind in of_inputs])
        if index is not None:
            return ByUnit(index)
    if NONLINEAR not in of_inputs and is_linear(program, equation, [kind is not None for kind in of_inputs]):
        return LINEAR
    return NONLINEAR


def _has_complex_numbers(program: Program, equation: Equation) -> bool:
    """Returns whether it reads or makes numbers for which the real ones that stand for units cannot."""
    values = (*equation.inputs, *equation.outputs)
    return any(jax.numpy.issubdtype(program.avals[value].dtype, np.complexfloating) for value in values)


def _may_be_tabulated(program: Program, equation: Equation, draw: int, own: bool) -> bool:
    categories = program.draws[draw].categories
    size = categories * math.prod(program.avals[equation.outputs[0]].shape)
    # What is looked up is there already.
    looked_up = equation.name in ("gather", "dynamic_slice") and not own
    return categories <= MANY_CATEGORIES or looked_up or size <= (MAXIMUM_TABLE if own else MAXIMUM_SHARED_TABLE)


def is_linear(program: Program, equation: Equation, dependent: Sequence[bool]) -> bool:
    """Returns whether an equation is linear (or affine) in the arguments that are marked, together."""
    name, places = equation.name, [place for place, marked in enumerate(dependent) if marked]
    if name == "convert_element_type":
        return _keeps_numbers(program.avals[equation.inputs[0]].dtype, equation.params["new_dtype"])
    if name in primitives.ARITHMETIC and not _adds_up(program, equation):
        return False
    if name in primitives.ADDITIVE:
        return True
    if name in primitives.BILINEAR:
        return len(places) == 1
    if name in primitives.LINEAR_IN_FIRST:
        return places == [0] and not _divides_whole_numbers(program, equation)
    if name == "select_n":
        return 0 not in places
    return name == "integer_pow" and equation.params["y"] == 1


def _keeps_numbers(before: np.dtype, after: np.dtype) -> bool:
    """Returns whether a conversion rounds nothing and wraps nothing, as far as floats stand for whole numbers."""
    if jax.numpy.issubdtype(after, np.inexact):
        # The imaginary part is lost, which is linear, but the real numbers that stand for others have none.
        return not jax.numpy.issubdtype(before, np.complexfloating)
    is_whole = before == np.bool_ or jax.numpy.issubdtype(before, np.integer)
    return is_whole and after != np.bool_ and (after in WIDE or np.can_cast(before, after, "safe"))


def _adds_up(program: Program, equation: Equation) -> bool:
    """Returns whether sums and products are those of numbers: of booleans they are not, and narrow integers wrap.

    Nor are they of whole numbers for which floats of 32 bits cannot stand, as far as the program's text says.
    """
    dtype = program.avals[equation.outputs[0]].dtype
    if jax.numpy.issubdtype(dtype, np.inexact):
        return not jax.numpy.issubdtype(dtype, np.complexfloating)
    return dtype in WIDE and are_exact_floats(program, (*equation.inputs, *equation.outputs))


def _divides_whole_numbers(program: Program, equation: Equation) -> bool:
    return equation.name == "div" and not jax.numpy.issubdtype(program.avals[equation.inputs[0]].dtype, np.inexact)


def unit_index(program: Program, equation: Equation, indices: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Returns which unit every element of the (one) result reads, or None where an element may read several.

    Args:
        program: whose equation.
        equation: the equation.
        indices: for every argument, which unit its elements read; None for an argument that reads none.
    """
    name = equation.name
    if name in primitives.ELEMENTWISE or is_elementwise_call(equation):
        return _merged(indices, program.avals[equation.outputs[0]].shape)
    if name in primitives.REDUCTIONS or name in ("argmax", "argmin"):
        return _reduced(indices[0], tuple(map(int, equation.params["axes"])))
    if name == "dot_general":
        return _contracted(program, equation, indices)
    if name in ("gather", "dynamic_slice") and any(index is not None for index in indices[1:]):
        # Where the table reads the draw too, an element reads its own unit and the one that is looked up.
        return _looked_up(program, equation, indices) if indices[0] is None else None
    if name in primitives.STRUCTURAL:
        return _moved(program, equation, indices)
    return None


def is_elementwise_call(equation: Equation) -> bool:
    """Returns whether an equation is a function with a derivative of its own that is elementwise: it is looked at."""
    is_call = equation.name in primitives.CALLS and len(equation.outputs) == 1
    if not is_call or not equation.names() <= primitives.ELEMENTWISE:
        return False
    # What it is given and does not use can have any shape.
    inner = equation.inner()
    shapes = [getattr(variable.aval, "shape", None) for variable in (*inner.invars, *inner.outvars)]
    return set(shapes) <= {(), shapes[-1]}


def _merged(indices: Sequence[np.ndarray | None], shape: tuple[int, ...]) -> np.ndarray | None:
    merged = np.full(shape, -1)
    for index in indices:
        if index is None:
            continue
        index = np.broadcast_to(index, shape)
        if np.any((merged >= 0) & (index >= 0) & (merged != index)):
            return None
        merged = np.maximum(merged, index)
    return np.asarray(merged)


def _reduced(index: np.ndarray | None, axes: tuple[int, ...]) -> np.ndarray | None:
    """Returns the units where all that is combined reads one."""
    if index is None:
        return None
    highest = np.asarray(index.max(axis=axes, initial=-1))
    least = np.where(index < 0, np.iinfo(index.dtype).max, index).min(axis=axes, initial=np.iinfo(index.dtype).max)
    return highest if np.all((highest < 0) | (least == highest)) else None


def _contracted(program: Program, equation: Equation, indices: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Returns the units of a product that contracts within each unit.

    Such as `one_hot(z) @ embedding`, or, of a matrix for every unit, `einsum("td,tde->te", x, weights[z])`.
    """
    contracting, batch = equation.params["dimension_numbers"]
    free = [
        [a for a in range(len(program.avals[atom].shape)) if a not in (*contracting[place], *batch[place])]
        for place, atom in enumerate(equation.inputs)
    ]
    shape = program.avals[equation.outputs[0]].shape
    together = []
    for place, index in enumerate(indices):
        if index is None:
            continue
        reduced = _reduced(index, tuple(contracting[place]))
        if reduced is None:
            return None
        # Of the result the axes of the batch come first, then the left factor's, then the right one's.
        left = [a for a in range(index.ndim) if a not in contracting[place]]
        order = [left.index(a) for a in (*batch[place], *free[place])]
        ones = (1,) * len(free[1 - place])
        sizes = tuple(reduced.shape[a] for a in order)
        here = len(batch[place])
        wide = (*sizes[:here], *ones, *sizes[here:]) if place else (*sizes, *ones)
        together.append(reduced.transpose(order).reshape(wide))
    return _merged(together, shape)


def _looked_up(program: Program, equation: Equation, indices: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Returns the units of a table's rows that are chosen by a draw."""
    shape = program.avals[equation.outputs[0]].shape
    if equation.name == "dynamic_slice":
        units = {int(unit) for index in indices[1:] if index is not None for unit in index.ravel()}
        return np.full(shape, units.pop()) if len(units) == 1 else None
    by_position = _reduced(indices[1], (-1,))
    if by_position is None:
        return None
    offsets = equation.params["dimension_numbers"].offset_dims
    return np.broadcast_to(np.expand_dims(by_position, tuple(offsets)), shape)


def _moved(program: Program, equation: Equation, indices: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Returns the units of elements that are moved: what is done to the values is done to the numbers of the units."""
    arguments = []
    for atom, index in zip(equation.inputs, indices, strict=True):
        known = program.known.get(atom)
        if index is not None:
            arguments.append(index.astype(np.int32))
        elif equation.name in ("concatenate", "pad"):
            arguments.append(np.full(program.avals[atom].shape, -1, np.int32))
        elif known is not None:
            arguments.append(np.asarray(known, program.avals[atom].dtype))
        else:
            return None
    return np.asarray(_at_compile_time(equation.filled_with(-1).apply, arguments)[0])


def _at_compile_time(function: Callable[..., list[jax.Array]], arguments: list[np.ndarray]) -> list[jax.Array]:
    with jax.ensure_compile_time_eval():
        return function(arguments)
