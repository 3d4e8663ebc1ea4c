"""Masks that a draw looks up: what is large in a table of logits stands for an infinity, and nothing is lost."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import reduce
from operator import or_

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array

from hnca.programs import primitives
from hnca.programs.infinities import beyond_all
from hnca.programs.parts import Part
from hnca.programs.surroundings import Surroundings

MASK = {2: 200.0, 4: 3e4, 8: 1e8}
"""From where on a number of a table is a mask, by the size of the dtype: a score less 1e9 is one too."""
_MOVED = primitives.ADDITIVE | primitives.STRUCTURAL | {"convert_element_type", "reduce_sum", "copy", "select_n"}
"""What leaves a mask a mask."""
Scales = Counter[tuple[str, int]]
"""By what numbers is multiplied (`mul`) or divided (`div`), and how often: values that read no draw."""


def may_be_masked(part: Part) -> bool:
    """Returns whether a draw may mask a part's outputs, which are logits, or take a mask away."""
    return part.may_be_infinite or bool(_tables_of_logits(part))


def _tables_of_logits(part: Part) -> dict[int, Scales]:
    """Returns the arrays in which draws look up what, scaled, is added up to the part's outputs, which are logits.

    `table[z]`, `one_hot(z) @ table`, `0.5 * table[z]`.
    """
    straight = defaultdict(Scales, {output: Scales() for output in part.outputs})
    tables = defaultdict[int, Scales](Scales)
    for equation in reversed(part.equations):
        found = [straight[output] for output in equation.outputs if output in straight]
        if not found:
            continue
        scales = reduce(or_, found)
        inputs = [(value, bool(part.kinds.get(value))) for value in equation.inputs]
        reads, others = [v for v, read in inputs if read], [v for v, read in inputs if not read]
        if equation.name in ("gather", "dynamic_slice") and any(read for _, read in inputs[1:]):
            tables[inputs[0][0]] |= scales
        elif equation.name == "dot_general" and any(_counts(part, value) for value, _ in inputs):
            for table in others:
                tables[table] |= scales
        elif equation.name in ("mul", "div") and len(reads) == 1 and inputs[0][1] >= (equation.name == "div"):
            straight[reads[0]] |= scales + Scales([(equation.name, others[0])])
        elif equation.name in _MOVED:
            for value in reads:
                straight[value] |= scales
    return {table: scales for table, scales in tables.items() if table in part.surroundings}


def _counts(part: Part, value: int) -> bool:
    """Returns whether a value is made of units of several categories, as `one_hot(z)` is, or sums of it."""
    return any(part.program.draws[draw].values is None for draw in part.kinds.get(value, {}))


def without_masks(part: Part, saved: Surroundings) -> Surroundings:
    """Returns what a part of logits reads, its tables with numbers that differ by no more than probabilities tell."""
    arrays = dict(saved.arrays)
    categories = {d.categories for d in part.program.draws.values() if d.values is None and d.logits in part.outputs}
    for table, scales in _tables_of_logits(part).items():
        array = arrays[table]
        if jnp.issubdtype(array.dtype, jnp.floating):
            has_rows = array.ndim > 0 and categories == {array.shape[-1]}
            arrays[table] = _tamed(array, _least(scales, {**part.program.known, **saved.arrays}), has_rows=has_rows)
    return Surroundings(arrays, saved.by_example, saved.batch_axes)


def _least(scales: Scales, values: Mapping[int, ArrayLike]) -> Array:
    """Returns the least, of numbers other than 0, of what a table's numbers are multiplied with in all; at most 1."""
    least = jnp.asarray(1.0)
    for (name, value), times in scales.items():
        sizes = jnp.abs(jnp.asarray(values[value], least.dtype))
        sizes = sizes if name == "mul" else 1 / sizes
        least = least * jnp.min(jnp.where(sizes > 0, sizes, 1), initial=1) ** times
    return jax.lax.stop_gradient(least)


def is_masked(logits: Array) -> Array:
    """Returns which logits, or numbers of a table of them, are so large that they are masks; of no floats, none is."""
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        return jnp.zeros(logits.shape, bool)
    return jnp.abs(logits) >= MASK[logits.dtype.itemsize]


def _tamed(table: Array, scale: Array, *, has_rows: bool) -> Array:
    """Returns a table with masks that are by far the largest numbers in it, but lose none; all large, as it is.

    Args:
        table: of logits.
        scale: the least by which they are multiplied.
        has_rows: whether its last axis is that of one unit's categories, so that only differences along it count.
    """
    masked = is_masked(table)
    beyond = beyond_all(table, masked, scale)
    tamed = jnp.sign(table) * jnp.minimum(jnp.abs(table), beyond)
    if has_rows:
        # Where the likeliest is itself masked, numbers of that row are still told apart, as far as they are there.
        top = jax.lax.stop_gradient(jnp.max(table, axis=-1, keepdims=True))
        below = jnp.where(table == top, 0, jnp.maximum(table - top, -beyond))
        tamed = tamed + jnp.where((jnp.sign(table) == jnp.sign(top)) & is_masked(top), below, 0)
    return jnp.where(masked & ~jnp.all(masked), tamed, table)
