"""What each unit of a draw adds to a value that is linear in it: the rows of a weight.

A product that contracts all of a draw gives the other factor itself, at no cost; from there on, rows are pushed through
linear equations one by one.
"""

import math
from collections.abc import Callable, Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hnca._precision import in_full_precision
from hnca.programs import primitives
from hnca.programs.equations import Equation, Program, read
from hnca.programs.infinities import finite
from hnca.programs.kinds import ByUnit, Kinds, is_linear
from hnca.programs.soft import Table, apply_to_tables, table_of_draw

MAXIMUM_ROWS = 2**26
"""How many numbers the rows of one value may be."""


def rows_of(
    program: Program,
    kinds: Kinds,
    equations: Iterable[Equation],
    values: Mapping[int, Array],
    draw: int,
    wanted: Iterable[int],
    dtype: jnp.dtype,
) -> dict[int, Float[Array, "features ..."]]:
    """Returns, for values that are linear in a draw, the rows of their weight, `[features, *shape]`.

    A Bernoulli unit has one feature, its value; a categorical one a feature a category.

    Args:
        program: whose equations.
        kinds: how its values answer to draws.
        equations: from the draws to what is wanted, in order.
        values: everything else the equations read and make, other draws' values included.
        draw: the output of the draw.
        wanted: the values.
        dtype: of the rows.
    """
    held: dict[int, Table | Array] = {draw: table_of_draw(program.draws[draw], program.avals[draw].dtype)}
    # The same without what is added and does not read the draw: it is no part of a weight, and may differ by example.
    added = dict(held)
    for equation in equations:
        if len(equation.outputs) != 1 or draw not in kinds[equation.outputs[0]]:
            continue
        kind = kinds[equation.outputs[0]][draw]
        places = [p for p, a in enumerate(equation.inputs) if draw in kinds.get(a, {})]
        if any(equation.inputs[p] not in held for p in places):
            continue
        if isinstance(kind, ByUnit):
            operands: list[Array | np.ndarray | Table] = [
                held[a] if p in places else read(program, values, a) for p, a in enumerate(equation.inputs)
            ]
            if all(isinstance(operands[p], Table) for p in places):
                made = held[equation.outputs[0]] = Table(draw, kind.index, apply_to_tables(equation, operands))
                if is_linear(program, equation, [p in places for p in range(len(operands))]):
                    operands = [
                        added[a] if p in places else o
                        for p, (a, o) in enumerate(zip(equation.inputs, operands, strict=True))
                    ]
                    operands = _without_offsets(equation, operands)
                    made = Table(draw, kind.index, apply_to_tables(equation, operands))
                added[equation.outputs[0]] = made
                continue
        if kind == "nonlinear":
            continue
        rows = _contracted(program, equation, added, values, places, draw, dtype)
        if rows is None:
            rows = _pushed(program, equation, added, values, places, draw, dtype)
        held[equation.outputs[0]] = added[equation.outputs[0]] = rows
    return {value: _as_rows(program, added[value], draw, dtype) for value in wanted if value in added}


def _without_offsets(
    equation: Equation, operands: list[Array | np.ndarray | Table]
) -> list[Array | np.ndarray | Table]:
    """Returns the arguments of an equation that is linear in those that are tables, with 0 for what is only added."""
    first = 1 if equation.name == "select_n" else 0
    if equation.name not in primitives.ADDITIVE and not first:
        return operands
    return [
        o if isinstance(o, Table) or place < first else np.zeros(np.shape(o), jnp.result_type(o))
        for place, o in enumerate(operands)
    ]


def _as_rows(program: Program, held: Table | Array, draw: int, dtype: jnp.dtype) -> Array:
    if not isinstance(held, Table):
        return held
    _check_size(program, draw, held.index.size)
    drawn, index = program.draws[draw], held.index
    units = np.arange(drawn.units).reshape(-1, *(1 for _ in index.shape))
    reads = np.asarray(units == index)
    if drawn.values is None:
        entries = _numbers(held.entries, dtype)
        rows = jnp.where(reads[:, None], entries[None], jnp.zeros((), dtype))
        return rows.reshape(-1, *index.shape)
    return jnp.where(reads, _slope(held, drawn.values, dtype)[None], jnp.zeros((), dtype))


def _numbers(entries: Array | np.ndarray, dtype: jnp.dtype) -> Array:
    """Returns entries that can be multiplied with 0: what is no number is that of a value that is not drawn."""
    found = finite(jnp.asarray(entries).astype(dtype))
    return jnp.where(jnp.isnan(found), jnp.zeros((), dtype), found)


def _check_size(program: Program, draw: int, size: int) -> None:
    """Raises a ValueError where the rows of a value would fill the memory."""
    drawn = program.draws[draw]
    features = drawn.units * (1 if drawn.values is not None else drawn.categories)
    if features * size > MAXIMUM_ROWS:
        raise ValueError(
            f"hnca: draw {drawn.name!r} at {drawn.line} has {features} features, and {size} numbers are linear in "
            f"them, which makes a weight of more than {MAXIMUM_ROWS} numbers. If an axis of it is the batch, write the "
            "function for one example and give in_axes, or give in_axes and whole_batch=True."
        )


def _slope(table: Table, values: tuple[float, ...], dtype: jnp.dtype) -> Array | np.ndarray:
    """Returns what one more of a Bernoulli unit's value adds: numbers, where they are known beforehand."""
    if isinstance(table.entries, np.ndarray) and np.all(np.isfinite(table.entries.astype(np.float64))):
        low, high = table.entries.astype(np.float64)
        return np.asarray((high - low) / (values[1] - values[0]), dtype)
    low, high = _numbers(table.entries, dtype)
    return (high - low) / jnp.asarray(values[1] - values[0], dtype)


def _contracted(
    program: Program,
    equation: Equation,
    held: Mapping[int, Table | Array],
    values: Mapping[int, Array],
    places: list[int],
    draw: int,
    dtype: jnp.dtype,
) -> Array | None:
    """Returns the rows of a product that contracts all of a table whose units stand in it equally often."""
    if equation.name != "dot_general" or len(places) != 1:
        return None
    place, drawn = places[0], program.draws[draw]
    table, other = held[equation.inputs[place]], read(program, values, equation.inputs[1 - place])
    contracting, batch = equation.params["dimension_numbers"]
    if not isinstance(table, Table) or batch[0] or not jnp.issubdtype(other.dtype, jnp.inexact):
        return None
    kept = [size for axis, size in enumerate(table.index.shape) if axis not in contracting[place]]
    counts = np.bincount(table.index[table.index >= 0].ravel(), minlength=drawn.units)
    per_unit = counts[0]
    if any(size != 1 for size in kept) or np.any(counts != per_unit) or per_unit == 0 or np.any(table.index < 0):
        return None
    axes = contracting[place]
    index = np.transpose(table.index, (*axes, *(a for a in range(table.index.ndim) if a not in axes))).ravel()
    order = np.argsort(index, kind="stable")
    weight = jnp.moveaxis(other, contracting[1 - place], range(len(axes)))
    weight = weight.reshape(index.size, -1).astype(dtype)
    weight = weight if np.array_equal(order, np.arange(index.size)) else weight[order]
    flat = Table(draw, index, _flat_entries(table, axes)[:, order])
    shape = program.avals[equation.outputs[0]].shape
    return _weighted(flat, weight, drawn.values, drawn.units, dtype).reshape(-1, *shape)


def _flat_entries(table: Table, axes: tuple[int, ...]) -> Array | np.ndarray:
    """Returns the entries with one axis for the elements, in the order in which they are contracted."""
    rest = tuple(axis for axis in range(table.index.ndim) if axis not in axes)
    order = (0, *(axis + 1 for axis in (*axes, *rest)))
    return table.entries.transpose(order).reshape(table.entries.shape[0], -1)


@in_full_precision
def _weighted(
    table: Table, weight: Array, values: tuple[float, ...] | None, units: int, dtype: jnp.dtype
) -> Float[Array, "features outputs"]:
    if values is not None and weight.shape[0] == units:
        slope = _slope(table, values, dtype)
        known = isinstance(slope, np.ndarray) and np.all(slope == 1)
        return weight if known else jnp.asarray(slope)[:, None] * weight
    if values is not None:
        slope = jnp.asarray(_slope(table, values, dtype)).reshape(units, -1)
        return jnp.einsum("um,umo->uo", slope, weight.reshape(units, -1, weight.shape[-1]))
    count = table.entries.shape[0]
    entries = table.entries.reshape(count, units, -1)
    if isinstance(entries, np.ndarray) and entries.shape[-1] == count:
        one_hot = np.broadcast_to(np.eye(count, dtype=entries.dtype)[:, None], entries.shape)
        if np.array_equal(entries, one_hot):
            return weight
    by_unit = weight.reshape(units, -1, weight.shape[-1])
    return jnp.einsum("kum,umo->uko", _numbers(entries, dtype), by_unit).reshape(units * count, -1)


def _pushed(
    program: Program,
    equation: Equation,
    held: Mapping[int, Table | Array],
    values: Mapping[int, Array],
    places: list[int],
    draw: int,
    dtype: jnp.dtype,
) -> Array:
    """Returns the rows of the result of a linear equation, one after another pushed through it."""
    _check_size(program, draw, math.prod(program.avals[equation.outputs[0]].shape))
    additive, linear = equation.name in primitives.ADDITIVE, equation.filled_with(0)
    fixed: list[Array | None] = []
    for place, atom in enumerate(equation.inputs):
        if place in places:
            fixed.append(None)
        elif additive or (equation.name == "select_n" and place > 0):
            fixed.append(jnp.zeros(program.avals[atom].shape, dtype))
        else:
            fixed.append(read(program, values, atom))

    def push(*rows: Array) -> Array:
        moving = iter(rows)
        return linear.apply_as_floats([next(moving) if argument is None else argument for argument in fixed])

    pushed: Callable[..., Array] = jax.vmap(push)
    return pushed(*(_as_rows(program, held[equation.inputs[place]], draw, dtype) for place in places))
