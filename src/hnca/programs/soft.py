"""Evaluates part of a program with units that take their values to a degree.

Wherever an element reads one unit, its value is kept as a table over the unit's alternatives. Where tables are summed
up, each is read at the unit's *state*: the weights of its alternatives. At a corner (a value taken) that is the program
itself; in between it is linear in the state wherever the program is linear in tables, whatever the arithmetic that made
them. So one derivative by the state gives the contrast of every unit at once, and relaxations pass through comparisons.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hnca._precision import in_full_precision
from hnca.programs.equations import Draw, Equation, Program
from hnca.programs.infinities import finite
from hnca.programs.kinds import MANY_CATEGORIES, ByUnit, Kinds, is_linear


@dataclass(frozen=True)
class Table:
    """A value each of whose elements reads one unit of a draw.

    Attributes:
        draw: the number of the draw's output.
        index: which unit each element reads, -1 for none, in the value's shape.
        entries: `[alternatives, *shape]`, what the value is for every alternative of the unit.
    """

    draw: int
    index: np.ndarray
    entries: Array | np.ndarray


def with_derivative_of_its_kind(value: Array) -> Array:
    """Returns the value, which if it is no number has a derivative that is none, whatever it was made of.

    A label that cannot be scored gives no number, but the derivative of what it was selected by is one.
    """
    return value * jnp.where(jnp.isnan(value), jnp.nan, 1.0).astype(value.dtype)


def table_of_draw(draw: Draw, dtype: jnp.dtype) -> Table:
    """Returns the table of a draw's own value."""
    return Table(draw.output, np.arange(draw.units).reshape(draw.shape), alternatives_of(draw, dtype))


def alternatives_of(draw: Draw, dtype: np.dtype) -> np.ndarray:
    """Returns the table of a draw's own value, `[alternatives, *shape]`."""
    values = np.arange(draw.categories, dtype=np.int32) if draw.values is None else np.asarray(draw.values, dtype)
    return np.broadcast_to(values.reshape(-1, *(1 for _ in draw.shape)), (draw.categories, *draw.shape))


def evaluate(
    program: Program,
    kinds: Kinds,
    equations: Iterable[Equation],
    values: Mapping[int, Array],
    states: Mapping[int, Float[Array, "units ..."]],
    outputs: Sequence[int],
    infinite: bool = True,
) -> dict[int, Array]:
    """Returns some of the values that were given and that the equations make of them, as arrays.

    Args:
        program: whose equations.
        kinds: how its values answer to draws.
        equations: in order.
        values: what is known, by number; of a draw that has a state its value is not looked at.
        states: of some draws, by output: `[units]`, 0 for the lower and 1 for the upper value of a Bernoulli unit, or
            `[units, categories]`, a point of the simplex.
        outputs: the values to return. No other table is read at its end: that would be most of a long program.
        infinite: whether what the program makes infinite at a corner is so, or as `finite` has it.
    """
    held: dict[int, Array | Table] = dict(values)
    for output in states:
        held[output] = table_of_draw(program.draws[output], program.avals[output].dtype)
    for equation in equations:
        operands = [_operand(program, held, atom) for atom in equation.inputs]
        made = _by_unit(program, kinds, equation, operands, states, infinite)
        if made is None:
            soft = _soft_places(program, equation)
            arrays = [
                _read(o, states, infinite, soft=place in soft) if isinstance(o, Table) else o
                for place, o in enumerate(operands)
            ]
            results = _apply(program, kinds, equation, arrays, soft)
            held.update(zip(equation.outputs, results, strict=True))
        else:
            held[equation.outputs[0]] = made
    found = {number: held[number] for number in outputs}
    return {number: at_state(v, states, infinite) if isinstance(v, Table) else v for number, v in found.items()}


def _soft_places(program: Program, equation: Equation) -> frozenset[int]:
    """Returns the places of the arguments in which, the others held, an equation is linear: floats may stand there."""
    if len(equation.outputs) != 1:
        return frozenset()
    count = len(equation.inputs)
    return frozenset(p for p in range(count) if is_linear(program, equation, [p == other for other in range(count)]))


def _read(table: Table, states: Mapping[int, Array], infinite: bool, *, soft: bool) -> Array:
    """Returns a table read at a state; whole numbers that are not to be soft are the nearest alternative's own."""
    if soft or jnp.issubdtype(table.entries.dtype, jnp.inexact):
        return at_state(table, states, infinite)
    state, entries = states[table.draw][np.maximum(table.index, 0)], jnp.asarray(table.entries)
    if state.ndim == table.index.ndim:
        return jnp.where(state > 0.5, entries[1], entries[0])
    return jnp.take_along_axis(entries, jnp.argmax(state, axis=-1)[None], axis=0)[0]


def at_state(table: Table, states: Mapping[int, Array], infinite: bool) -> Array:
    """Returns a table read at the states of its draw's units: floats, also for integers.

    Its derivative is that of `finite` entries; where `infinite`, an infinite entry is read as it is.
    """
    interpolated = _interpolated(table, states)
    known_finite = isinstance(table.entries, np.ndarray) and np.all(np.isfinite(table.entries.astype(np.float64)))
    if not infinite or known_finite or not jnp.issubdtype(table.entries.dtype, jnp.inexact):
        return interpolated
    entries = jnp.asarray(table.entries)
    # 1 or -1 at a corner that is infinite, less in between.
    signs = jnp.where(jnp.isinf(entries), jnp.sign(entries), jnp.zeros((), entries.dtype))
    sign = jax.lax.stop_gradient(_interpolated(Table(table.draw, table.index, signs), states))
    return interpolated + jnp.where(sign == 1, jnp.inf, jnp.where(sign == -1, -jnp.inf, -0.0)).astype(sign.dtype)


def _interpolated(table: Table, states: Mapping[int, Array]) -> Array:
    state, index = states[table.draw], table.index
    units = state.shape[0]
    entries = finite(jnp.asarray(table.entries).astype(state.dtype))
    many = state.ndim == 2 and state.shape[1] > MANY_CATEGORIES
    if many and index.size and np.all(index == index.flat[0]) and index.flat[0] >= 0:
        return _looked_up(state[index.flat[0]], entries)
    in_order = index.size == units and np.array_equal(index.ravel(), np.arange(units))
    by_element = state.reshape(*index.shape, *state.shape[1:]) if in_order else state[np.maximum(index, 0)]
    if state.ndim == 1:
        low, high = table.entries[0], table.entries[1]
        if isinstance(table.entries, np.ndarray) and np.all(low == 0) and np.all(high == 1):
            return jnp.where(index < 0, jnp.zeros((), state.dtype), by_element) if np.any(index < 0) else by_element
        # Not low + state (high - low): at a corner that may miss the value by an ulp.
        return _weighted(1 - by_element, entries[0]) + _weighted(by_element, entries[1])
    return jnp.sum(_weighted(by_element, jnp.moveaxis(entries, 0, -1)), axis=-1)


@jax.custom_jvp
def _weighted(weight: Array, entry: Array) -> Array:
    """Returns a product that is 0 where the weight is, also of NaN: what a value that cannot be drawn would come to.

    Its derivative by the weight is the entry. The 0 is -0, to which -0 can be added and stays what it is.
    """
    return weight * jnp.where(weight == 0, jnp.asarray(-0.0, entry.dtype), entry)


@_weighted.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (weight, entry), (of_weight, of_entry) = primals, tangents
    return _weighted(weight, entry), of_weight * entry + weight * of_entry


@in_full_precision
def _looked_up(state: Float[Array, " categories"], entries: Float[Array, "categories ..."]) -> Float[Array, "..."]:
    """Returns a table read at one unit's state, by a product, which makes no table of its own for every example."""
    return jnp.tensordot(state, entries, axes=1)


def apply_to_tables(equation: Equation, operands: Sequence[Array | np.ndarray | Table]) -> Array | np.ndarray:
    """Returns the entries of the result: the equation applied for every alternative."""
    entries = [operand.entries if isinstance(operand, Table) else operand for operand in operands]
    axes = [0 if isinstance(operand, Table) else None for operand in operands]
    if all(isinstance(entry, np.ndarray) for entry in entries):
        with jax.ensure_compile_time_eval():
            return np.asarray(jax.vmap(lambda *a: equation.apply_to_numbers(a)[0], in_axes=axes)(*entries))
    mapped = jax.vmap(lambda *arguments: equation.apply(arguments)[0], in_axes=axes)
    return mapped(*(jnp.asarray(entry) for entry in entries))


def _operand(program: Program, held: Mapping[int, Array | Table], value: int) -> Array | np.ndarray | Table:
    return held[value] if value in held else program.known[value]


def _by_unit(
    program: Program,
    kinds: Kinds,
    equation: Equation,
    operands: Sequence[Array | np.ndarray | Table],
    states: Mapping[int, Array],
    infinite: bool,
) -> Table | None:
    """Returns the result as a table of one of the draws read, if it is one; other draws' tables are read."""
    if len(equation.outputs) != 1:
        return None
    of_output = kinds[equation.outputs[0]]
    for draw in dict.fromkeys(operand.draw for operand in operands if isinstance(operand, Table)):
        kind = of_output.get(draw)
        reading = [draw in kinds.get(atom, {}) for atom in equation.inputs]
        whole = all(isinstance(o, Table) and o.draw == draw for o, r in zip(operands, reading, strict=True) if r)
        if not isinstance(kind, ByUnit) or not whole or _would_stay_hard(program, equation, operands, draw):
            continue
        others = []
        for atom, operand in zip(equation.inputs, operands, strict=True):
            if isinstance(operand, Table) and operand.draw != draw:
                operand = _cast(program, atom, _read(operand, states, infinite, soft=False))
            others.append(operand)
        if any(_is_stand_in(program, a, o) for a, o in zip(equation.inputs, others, strict=True)):
            others = [
                o if isinstance(o, Table) else _cast(program, a, o)
                for a, o in zip(equation.inputs, others, strict=True)
            ]
        return Table(draw, kind.index, apply_to_tables(equation, others))
    return None


def _would_stay_hard(
    program: Program, equation: Equation, operands: Sequence[Array | np.ndarray | Table], draw: int
) -> bool:
    """Returns whether whole numbers of other draws, in which the equation is linear as in this one's, have states."""
    soft = _soft_places(program, equation)
    whole = {
        place: operand.draw
        for place, operand in enumerate(operands)
        if isinstance(operand, Table) and not jnp.issubdtype(operand.entries.dtype, jnp.inexact)
    }
    return whole.keys() <= soft and set(whole.values()) > {draw}


def _is_stand_in(program: Program, value: int, operand: Array | np.ndarray | Table) -> bool:
    """Returns whether floats stand for what is an integer or boolean to the program."""
    if isinstance(operand, Table):
        return False
    return jnp.issubdtype(operand.dtype, jnp.inexact) and not jnp.issubdtype(program.avals[value].dtype, jnp.inexact)


def _cast(program: Program, value: int, array: Array | np.ndarray) -> Array | np.ndarray:
    """Returns the array in the dtype the program has it in."""
    dtype = program.avals[value].dtype
    if array.dtype == dtype or jnp.issubdtype(dtype, jax.dtypes.extended):
        return array
    if jnp.issubdtype(dtype, jnp.inexact):
        return array.astype(dtype)
    return array > 0.5 if dtype == np.bool_ else jnp.round(array).astype(dtype)


def _apply(
    program: Program, kinds: Kinds, equation: Equation, arrays: Sequence[Array | np.ndarray], soft: Collection[int]
) -> list[Array]:
    """Returns the results; at the `soft` places floats that stand for whole numbers stay what they are."""
    stand_ins = [_is_stand_in(program, a, array) for a, array in zip(equation.inputs, arrays, strict=True)]
    if any(stand_ins[place] for place in soft):
        arrays = [
            array if place in soft else _cast(program, equation.inputs[place], array)
            for place, array in enumerate(arrays)
        ]
        return [equation.apply_as_floats([jnp.asarray(array) for array in arrays])]
    if equation.name == "stop_gradient":
        return [jnp.asarray(arrays[0])]
    # States have the dtype of the network, and the program may have another one.
    arrays = [_cast(program, a, array) for a, array in zip(equation.inputs, arrays, strict=True)]
    results = equation.apply(arrays)
    if equation.name in ("mul", "div") and not all(kinds.get(a) for a in equation.inputs):
        return [_with_finite_slope(results[0], equation, arrays)]
    return results


def _with_finite_slope(result: Array, equation: Equation, arrays: Sequence[Array | np.ndarray]) -> Array:
    """Returns a product or quotient with a derivative of 0 where it has none, as of what is divided by 0 in vain."""
    if not jnp.issubdtype(result.dtype, jnp.floating):
        return result
    finite = jnp.isfinite(result)
    safe = [jnp.where(finite, jnp.broadcast_to(array, result.shape), jnp.ones_like(result)) for array in arrays]
    return jnp.where(finite, equation.apply(safe)[0], jax.lax.stop_gradient(result))
