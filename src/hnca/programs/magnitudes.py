"""How large numbers can be, as far as a program's text says: where floats can stand for whole ones, and where not."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hnca._precision import at_least_float32
from hnca.programs import primitives
from hnca.programs.equations import Draw, Equation, Program

Bounds = tuple[int | float, int | float]
"""The least and the greatest that a value's elements can be; of floats that nothing is known of, the infinities."""

EXACT = 2**24
"""Up to it every whole number is a float of 32 bits."""
WIDE = (np.dtype(np.int32), np.dtype(np.int64))
"""Whole numbers that do not wrap before they are too large for such floats."""
_UNKNOWN: Bounds = (-math.inf, math.inf)
_OF_ARRAY = frozenset(["gather", "dynamic_slice"])
_CASES_OF_ALL = frozenset(
    ["concatenate", "pad", "clamp", "copy", "copy_p", "stop_gradient", "sort", "reduce_max", "reduce_min", "cummax"]
)


def are_exact_floats(program: Program, values: Sequence[int]) -> bool:
    """Returns whether whole numbers can never be so large that they wrap, or that a float of 32 bits is another."""
    bounds = bounds_of(program)
    return all(bounds[value][0] > -EXACT and bounds[value][1] < EXACT for value in values)


def dtype_for(program: Program, values: Sequence[int]) -> np.dtype:
    """Returns the dtype that can hold the logits of all draws and some values: the widest, of 32 bits at least."""
    found = [program.avals[draw.logits].dtype for draw in program.draws.values()]
    found += [dtype for v in values if jnp.issubdtype(dtype := program.avals[v].dtype, jnp.floating)]
    return np.dtype(max((at_least_float32(dtype) for dtype in found), key=lambda dtype: dtype.itemsize))


def bounds_of(program: Program) -> dict[int, Bounds]:
    """Returns the bounds of all real values of a program that is written to its end."""
    if program.bounds is None:
        found: dict[int, Bounds] = {}
        for step in program.steps:
            atoms = (step.logits,) if isinstance(step, Draw) else step.inputs
            for atom in atoms:
                if atom not in found:
                    found[atom] = _of_leaf(program, atom)
            if isinstance(step, Draw):
                values = (0, step.categories - 1) if step.values is None else step.values
                found[step.output] = (min(values), max(values))
            else:
                found.update({o: _of_result(program, step, o, found) for o in step.outputs})
        program.bounds = found
    return program.bounds


def number_in_text(program: Program, atom: int) -> np.ndarray | None:
    """Returns a value that the program's text says, or the number that it repeats; None for one that is computed."""
    known = program.known.get(atom, program.constants.get(atom))
    if known is not None:
        is_number = not isinstance(known, jax.core.Tracer) and _is_real(known.dtype)
        return np.asarray(known) if is_number else None
    equation = program.producers.get(atom)
    if equation is not None and equation.name in ("broadcast_in_dim", "reshape", "convert_element_type"):
        return number_in_text(program, equation.inputs[0])
    return None


def largest_brought(program: Program, equation: Equation, reads: Sequence[bool]) -> float:
    """Returns the largest number of the program's text that a draw decides about: by a selection, or as a factor.

    Args:
        program: the program.
        equation: the equation.
        reads: for every argument, whether it reads a draw.
    """
    if equation.name == "select_n" and reads[0]:
        atoms = equation.inputs[1:]
    elif equation.name in ("mul", "div", "dot_general") and any(reads):
        atoms = equation.inputs
    else:
        return 0.0
    numbers = [number_in_text(program, atom) for atom in atoms]
    floats = [np.abs(n.astype(np.float64)) for n in numbers if n is not None and jnp.issubdtype(n.dtype, jnp.floating)]
    return max((float(np.max(n, initial=0)) for n in floats), default=0.0)


def _of_leaf(program: Program, atom: int) -> Bounds:
    known = number_in_text(program, atom)
    if known is None:
        return _of_dtype(program.avals[atom].dtype)
    known = known.astype(np.float64) if known.dtype.kind == "V" else known
    return (known.min().item(), known.max().item()) if known.size else (0, 0)


def _of_dtype(dtype: Any) -> Bounds:
    if dtype == np.bool_:
        return 0, 1
    if not jnp.issubdtype(dtype, jnp.integer):
        return _UNKNOWN
    return int(jnp.iinfo(dtype).min), int(jnp.iinfo(dtype).max)


def _is_real(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, np.bool_) or jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.floating)


def _of_result(program: Program, equation: Equation, output: int, found: Mapping[int, Bounds]) -> Bounds:
    dtype = program.avals[output].dtype
    if not _is_real(dtype) or not all(_is_real(program.avals[a].dtype) for a in equation.inputs):
        return _of_dtype(dtype) if _is_real(dtype) else _UNKNOWN
    of_dtype = _of_dtype(dtype)
    bounds = _by_rule(program, equation, [found[atom] for atom in equation.inputs])
    if bounds is None or any(math.isnan(b) for b in bounds):
        return of_dtype
    # What is beyond the dtype wraps, and can be anything.
    return bounds if of_dtype[0] <= bounds[0] and bounds[1] <= of_dtype[1] else of_dtype


def _by_rule(program: Program, equation: Equation, inputs: list[Bounds]) -> Bounds | None:
    name = equation.name
    if name in _OF_ARRAY:
        fills = name == "gather" and "FILL" in str(equation.params.get("mode"))
        return None if fills else inputs[0]
    if name in primitives.STRUCTURAL | _CASES_OF_ALL or name in ("max", "min"):
        return _hull(inputs)
    if name == "select_n":
        return _hull(inputs[1:])
    if name in ("reduce_sum", "cumsum", "dot_general"):
        terms = inputs[0] if name != "dot_general" else _product(*inputs)
        count = _terms_of_sum(program, equation)
        return _hull([terms, (count * terms[0], count * terms[1])]) if count else (0, 0)
    rule = _RULES.get(name)
    return None if rule is None or not all(map(math.isfinite, sum(inputs, ()))) else rule(*inputs)


def _terms_of_sum(program: Program, equation: Equation) -> int:
    shape, params = program.avals[equation.inputs[0]].shape, equation.params
    if equation.name == "cumsum":
        return shape[params["axis"]]
    axes = params["axes"] if equation.name == "reduce_sum" else params["dimension_numbers"][0][0]
    return math.prod(shape[axis] for axis in axes)


def _hull(bounds: Sequence[Bounds]) -> Bounds:
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def _product(a: Bounds, b: Bounds) -> Bounds:
    if not all(map(math.isfinite, (*a, *b))):
        return _UNKNOWN
    products = [x * y for x in a for y in b]
    return min(products), max(products)


def _widest(a: Bounds, *_: Bounds) -> Bounds:
    largest = max(abs(a[0]), abs(a[1]))
    return -largest, largest


_RULES: dict[str, Callable[..., Bounds]] = {
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "neg": lambda a: (-a[1], -a[0]),
    "mul": _product,
    "abs": lambda a: (0, _widest(a)[1]),
    "sign": lambda _: (-1, 1),
    "rem": lambda a, b: _hull([_widest(a), (0, 0)]) if _widest(a)[1] < _widest(b)[1] else _widest(b),
    **dict.fromkeys(("floor", "ceil", "round", "convert_element_type"), lambda a: (math.floor(a[0]), math.ceil(a[1]))),
}
