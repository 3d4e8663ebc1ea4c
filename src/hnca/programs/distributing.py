"""Elementwise equations of values put together from parts: applied to the parts, and put together afterwards.

What steps of a scan return is stacked, and an objective made of the stack. Taken apart, each step's share is a term of
its own, which its draws are credited for alone.
"""

from collections.abc import Sequence

import jax
import numpy as np
from jax.extend.core.primitives import slice_p
from jaxtyping import Array

from hnca.programs import primitives
from hnca.programs.equations import Program

_MOST_PARTS = 512


def parts_of(program: Program, name: str, inputs: Sequence[int], random: set[int]) -> tuple[int, list[int]] | None:
    """Returns the axis along which an elementwise equation's arguments are put together, and the parts' sizes.

    None where the equation is not elementwise, or none of its arguments that read draws is put together from parts.
    """
    if name not in primitives.ELEMENTWISE:
        return None
    for atom in inputs:
        equation = program.producers.get(atom)
        if equation is not None and atom in random and equation.name == "concatenate":
            axis = int(equation.params["dimension"])
            sizes = [program.avals[part].shape[axis] for part in equation.inputs]
            return (axis, sizes) if 1 < len(sizes) <= _MOST_PARTS else None
    return None


def part_of(program: Program, atom: int, axis: int, sizes: Sequence[int], place: int) -> int | tuple[int, int]:
    """Returns one part of an argument, or from where to where it has to be sliced.

    Scalars, and arguments with an axis of 1 there, are their own part.
    """
    aval = program.avals[atom]
    if aval.ndim == 0 or aval.shape[axis] == 1:
        return atom
    equation = program.producers.get(atom)
    if equation is not None and equation.name == "concatenate" and equation.params["dimension"] == axis:
        own = [program.avals[part].shape[axis] for part in equation.inputs]
        if own == list(sizes):
            return equation.inputs[place]
    ends = np.cumsum(sizes)
    return int(ends[place] - sizes[place]), int(ends[place])


def sliced(array: Array, axis: int, start: int, end: int) -> Array:
    """Returns a slice along one axis, as one equation."""
    shape = np.shape(array)
    starts = [start if a == axis else 0 for a in range(len(shape))]
    ends = [end if a == axis else size for a, size in enumerate(shape)]
    return slice_p.bind(array, start_indices=tuple(starts), limit_indices=tuple(ends), strides=None)


def put_together(arrays: Sequence[Array], axis: int) -> Array:
    """Stacks, by equations that are distributed."""
    return jax.lax.concatenate([jax.lax.expand_dims(array, (axis,)) for array in arrays], axis)
