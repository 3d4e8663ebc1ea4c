"""Whether an equation keeps the examples of a batch apart, and what it is on one of them: a rule for each primitive."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hnca.programs import primitives
from hnca.programs.equations import Equation, Program
from hnca.programs.kinds import is_elementwise_call


class MixedError(Exception):
    """An equation that may mix examples."""


class Apart(NamedTuple):
    """What becomes of an equation on one example.

    Attributes:
        axis: of its results, along which the examples are; None where they have been summed.
        rows: of the arguments that read no draw, those of which an example reads its own row, and along which axis.
        params: the parameters that are others, by name.
        first_row: of an argument that says where the batch is looked up, the column that is 0 for one example, or None.
    """

    axis: int | None
    rows: Mapping[int, int] = {}
    params: Mapping[str, Any] = {}
    first_row: int | None = None


class Asked(NamedTuple):
    """An equation and where its arguments have the batch.

    Attributes:
        program: whose equation.
        equation: the equation.
        read: the axis of the batch, by the place of the argument, of those that read draws.
        size: of the batch.
    """

    program: Program
    equation: Equation
    read: Mapping[int, int]
    size: int

    @property
    def params(self) -> dict[str, Any]:
        """The equation's parameters."""
        return self.equation.params

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the arguments."""
        return [self.program.avals[atom].shape for atom in self.equation.inputs]

    @property
    def result(self) -> tuple[int, ...]:
        """The shape of the first result."""
        return self.program.avals[self.equation.outputs[0]].shape

    def alone(self) -> int:
        """Returns the axis of the first argument, the only one that may read draws."""
        if set(self.read) != {0}:
            raise MixedError("it is not known to keep them apart")
        return self.read[0]


def apart(asked: Asked) -> Apart:
    """Returns what an equation that reads draws is on one example of the batch.

    Raises:
        MixedError: if it may mix examples, saying how.
    """
    name = asked.equation.name
    if name in primitives.ELEMENTWISE or name in _ELEMENT_BY_ELEMENT or is_elementwise_call(asked.equation):
        axis = _one_axis(asked)
        return Apart(axis, _rows_along(asked, axis))
    rule = _RULES.get(name)
    if rule is None:
        raise MixedError("it is not known to keep them apart")
    return rule(asked)


_ELEMENT_BY_ELEMENT = frozenset(["add_any", "hnca_observed"])


def _one_axis(asked: Asked) -> int:
    axes = set(asked.read.values())
    if len(axes) != 1:
        raise MixedError("the batch is another axis in each argument")
    return axes.pop()


def _rows_along(asked: Asked, axis: int) -> dict[int, int]:
    """Returns the arguments that read no draw and have a value for each example, as large as what they meet."""
    rank = len(asked.result)
    shapes = {place: shape for place, shape in enumerate(asked.shapes) if place not in asked.read}
    return {place: axis for place, shape in shapes.items() if len(shape) == rank and shape[axis] == asked.size}


def _reduced(asked: Asked) -> Apart:
    axis, name = asked.alone(), asked.equation.name
    axes = [int(a) for a in asked.params["axes"]]  # Of `jax.vmap` they are numpy's numbers.
    if axis in axes:
        if name != "reduce_sum":
            raise MixedError("it reduces the batch by something else than a sum")
        return Apart(None)
    return Apart(axis - sum(a < axis for a in axes))


def _product(asked: Asked) -> Apart:
    contracting, batch = asked.params["dimension_numbers"]
    for pairs in (contracting, batch):
        for place, axis in asked.read.items():
            if axis not in pairs[place]:
                continue
            number = list(pairs[place]).index(axis)
            other, of_other = 1 - place, pairs[1 - place][number]
            if asked.read.get(other, of_other) != of_other:
                raise MixedError("it multiplies every example with every other")
            rows = {} if other in asked.read else {other: of_other}
            return Apart(number if pairs is batch else None, rows)
    if len(asked.read) > 1:
        raise MixedError("it multiplies every example with every other")
    ((place, axis),) = asked.read.items()
    free = [
        [a for a in range(len(shape)) if a not in (*contracting[side], *batch[side])]
        for side, shape in enumerate(asked.shapes)
    ]
    return Apart(len(batch[0]) + (len(free[0]) if place else 0) + free[place].index(axis))


def _broadcast(asked: Asked) -> Apart:
    axis = asked.params["broadcast_dimensions"][asked.alone()]
    return Apart(axis, params={"shape": _with_one(asked.params["shape"], axis)})


def _reshaped(asked: Asked) -> Apart:
    axis, (before, *_), after = asked.alone(), asked.shapes, asked.result
    ahead = int(np.prod(before[:axis], dtype=int))
    for place, length in enumerate(after):
        if length == asked.size and int(np.prod(after[:place], dtype=int)) == ahead:
            return Apart(place, params={"new_sizes": _with_one(after, place)})
    raise MixedError("it runs the batch together with another axis")


def _transposed(asked: Asked) -> Apart:
    return Apart(list(asked.params["permutation"]).index(asked.alone()))


def _squeezed(asked: Asked) -> Apart:
    axis = asked.alone()
    return Apart(axis - sum(int(a) < axis for a in asked.params["dimensions"]))


def _sliced(asked: Asked) -> Apart:
    axis = asked.alone()
    strides = asked.params["strides"]
    if asked.result[axis] != asked.size or (strides is not None and strides[axis] != 1):
        raise MixedError("it takes some of them")
    return Apart(axis, params={"limit_indices": _with_one(asked.params["limit_indices"], axis)})


def _sliced_somewhere(asked: Asked) -> Apart:
    axis = asked.alone()
    if asked.result[axis] != asked.size:
        raise MixedError("it takes some of them")
    return Apart(axis, params={"slice_sizes": _with_one(asked.params["slice_sizes"], axis)})


def _put_together(asked: Asked) -> Apart:
    axis = _one_axis(asked)
    if asked.params["dimension"] == axis:
        raise MixedError("it puts other examples beside them")
    return Apart(axis, {place: axis for place in range(len(asked.shapes)) if place not in asked.read})


def _along_another_axis(parameter: str) -> Callable[[Asked], Apart]:
    def rule(asked: Asked) -> Apart:
        axis, other = asked.alone(), asked.params[parameter]
        if axis in (other if isinstance(other, tuple) else (other,)):
            raise MixedError("it goes along the batch")
        return Apart(axis)

    return rule


def _sorted(asked: Asked) -> Apart:
    axis = _one_axis(asked)
    if axis == asked.params["dimension"]:
        raise MixedError("it sorts the batch")
    return Apart(axis, {place: axis for place in range(len(asked.shapes)) if place not in asked.read})


def _of_the_largest(asked: Asked) -> Apart:
    axis, last = asked.alone(), len(asked.shapes[0]) - 1
    if axis == asked.params.get("axis", last) % (last + 1):
        raise MixedError("it sorts the batch")
    return Apart(axis)


def _padded(asked: Asked) -> Apart:
    axis = asked.alone()
    if asked.params["padding_config"][axis] != (0, 0, 0):
        raise MixedError("it pads the batch")
    return Apart(axis)


def _convolved(asked: Asked) -> Apart:
    numbers = asked.params["dimension_numbers"]
    if asked.alone() != numbers.lhs_spec[0] or asked.params["batch_group_count"] != 1:
        raise MixedError("the batch is an axis that it convolves")
    return Apart(numbers.out_spec[0])


def _pooled(asked: Asked) -> Apart:
    axis, params = asked.alone(), asked.params
    ones = [params[name][axis] for name in ("window_dimensions", "window_strides", "base_dilation", "window_dilation")]
    if ones != [1, 1, 1, 1] or tuple(params["padding"][axis]) != (0, 0):
        raise MixedError("it pools the batch")
    return Apart(axis)


def _looked_up(asked: Asked) -> Apart:
    numbers, sizes = asked.params["dimension_numbers"], asked.params["slice_sizes"]
    kept = [axis for axis in range(len(asked.result)) if axis not in numbers.offset_dims]
    of_array, of_indices = numbers.operand_batching_dims, numbers.start_indices_batching_dims
    if 1 in asked.read:
        axis = asked.read[1]
        if axis in of_indices:
            paired = of_array[of_indices.index(axis)]
            if asked.read.get(0, paired) == paired:
                return Apart(kept[axis], {} if 0 in asked.read else {0: paired})
        if 0 in asked.read or axis == len(asked.shapes[1]) - 1:
            raise MixedError("it is not known to keep them apart")
        return Apart(kept[axis])
    axis = asked.read[0]
    if axis in of_array:
        paired = of_indices[of_array.index(axis)]
        return Apart(kept[paired], {1: paired})
    if axis not in numbers.start_index_map and axis not in numbers.collapsed_slice_dims and sizes[axis] == asked.size:
        others = (*numbers.collapsed_slice_dims, *of_array)
        offset = [a for a in range(len(asked.shapes[0])) if a not in others].index(axis)
        return Apart(numbers.offset_dims[offset], params={"slice_sizes": _with_one(sizes, axis)})
    if axis in numbers.collapsed_slice_dims and axis in numbers.start_index_map:
        column = numbers.start_index_map.index(axis)
        counted = _counts_along(asked.program, asked.equation.inputs[1], column, asked.size)
        if counted is not None:
            return Apart(kept[counted], {1: counted}, first_row=column)
    raise MixedError("it looks some of them up")


def _counts_along(program: Program, indices: int, column: int, size: int) -> int | None:
    """Returns the axis along which a column of indices is 0, 1, 2, ..., as in `x[jnp.arange(len(x)), labels]`."""
    known = program.known.get(indices)
    equation = program.producers.get(indices)
    last = len(program.avals[indices].shape) - 1
    if known is not None:
        known = known[..., column : column + 1]
    elif equation is not None and equation.name == "concatenate" and equation.params["dimension"] == last:
        pieces = [atom for atom in equation.inputs for _ in range(program.avals[atom].shape[last])]
        known = program.known.get(pieces[column])
    if known is None or known.shape[last] != 1:
        return None
    for axis in range(last):
        counting = np.arange(size).reshape([-1 if a == axis else 1 for a in range(last + 1)])
        if known.shape[axis] == size and np.array_equal(known, np.broadcast_to(counting, known.shape)):
            return axis
    return None


def _with_one(sizes: Sequence[int], axis: int) -> tuple[int, ...]:
    return tuple(1 if a == axis else int(size) for a, size in enumerate(sizes))


_RULES: dict[str, Callable[[Asked], Apart]] = {
    **dict.fromkeys((*primitives.REDUCTIONS, "argmax", "argmin"), _reduced),
    "dot_general": _product,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshaped,
    "transpose": _transposed,
    "squeeze": _squeezed,
    "slice": _sliced,
    "dynamic_slice": _sliced_somewhere,
    "concatenate": _put_together,
    "rev": _along_another_axis("dimensions"),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), _along_another_axis("axis")),
    "sort": _sorted,
    "top_k": _of_the_largest,
    "pad": _padded,
    "gather": _looked_up,
    "conv_general_dilated": _convolved,
    **dict.fromkeys(("reduce_window_sum", "reduce_window_max", "reduce_window_min"), _pooled),
}
