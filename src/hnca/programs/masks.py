"""Masks that a draw looks up: what is large in a table of logits stands for an infinity, and nothing is lost."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.programs import primitives
from hnca.programs.infinities import far_beyond
from hnca.programs.parts import Part
from hnca.programs.surroundings import Surroundings

MASK = {2: 200.0, 4: 3e4, 8: 1e8}
"""From where on a number of a table is a mask, by the size of the dtype: a score less 1e9 is one too."""
_MOVED = primitives.ADDITIVE | primitives.STRUCTURAL | {"convert_element_type", "reduce_sum", "copy", "select_n"}
"""What leaves a mask a mask."""


def may_be_masked(part: Part) -> bool:
    """Returns whether a draw may mask a part's outputs, which are logits, or take a mask away."""
    return part.may_be_infinite or bool(_tables_of_logits(part))


def _tables_of_logits(part: Part) -> frozenset[int]:
    """Returns the arrays in which draws look up what is only added up to the part's outputs, which are logits.

    `table[z]`, `one_hot(z) @ table`.
    """
    straight, tables = set(part.outputs), set[int]()
    for equation in reversed(part.equations):
        if straight.isdisjoint(equation.outputs):
            continue
        reads = [bool(part.kinds.get(value)) for value in equation.inputs]
        if equation.name in ("gather", "dynamic_slice") and any(reads[1:]):
            tables.add(equation.inputs[0])
        elif equation.name == "dot_general" and any(_counts(part, value) for value in equation.inputs):
            tables.update(v for v, read in zip(equation.inputs, reads, strict=True) if not read)
        elif equation.name in _MOVED:
            straight.update(v for v, read in zip(equation.inputs, reads, strict=True) if read)
    return frozenset(tables & part.surroundings)


def _counts(part: Part, value: int) -> bool:
    """Returns whether a value is made of units of several categories, as `one_hot(z)` is, or sums of it."""
    return any(part.program.draws[draw].values is None for draw in part.kinds.get(value, {}))


def without_masks(part: Part, saved: Surroundings) -> Surroundings:
    """Returns what a part of logits reads, its tables with numbers that differ by no more than probabilities tell."""
    tables = _tables_of_logits(part)
    arrays = {v: _tamed(array) if v in tables else array for v, array in saved.arrays.items()}
    return Surroundings(arrays, saved.by_example, saved.batch_axes)


def is_masked(logits: Float[Array, "*shape"]) -> Array:
    """Returns which logits, or numbers of a table of them, are so large that they are masks."""
    return jnp.abs(logits) >= MASK[logits.dtype.itemsize]


def _tamed(table: Array) -> Array:
    """Returns a table with masks that are by far the largest numbers in it, but lose none; all large, as it is."""
    if not jnp.issubdtype(table.dtype, jnp.floating):
        return table
    masked = is_masked(table)
    return far_beyond(table, masked & ~jnp.all(masked))
