"""Where the batch axis is in every value of a program that is written for a whole batch, and that nothing mixes it."""

from collections.abc import Sequence

import jax
import numpy as np

from hnca.programs import primitives
from hnca.programs.batch_size import numbers_of_the_size, of_the_size
from hnca.programs.equations import Draw, Equation, Program
from hnca.programs.kinds import is_elementwise_call


class MixedError(Exception):
    """An equation that may mix examples."""


class Summed:
    """A value that is a sum over the batch, times a number that an example by itself would not have.

    Attributes:
        scale: that number: `1 / batch` for a mean.
    """

    def __init__(self, scale: float):
        self.scale = scale


Place = int | Summed
"""The batch axis of a value, or that it has been summed over."""


def places_of(whole: Program, single: Program, batched: Sequence[int], size: int) -> dict[int, Place]:
    """Returns where the batch is in every value that has one.

    Args:
        whole: the program on the whole batch.
        single: the same on a batch of one: equation by equation the same, but for shapes and literals.
        batched: the inputs whose first axis is the batch.
        size: of the batch.

    Raises:
        ValueError: if the two are not alike, or an equation may mix examples, or what is done with single examples
            depends on how many there are. The message gives its line.
    """
    of_size = numbers_of_the_size(whole, single, batched)
    places: dict[int, Place] = dict.fromkeys(batched, 0)
    for step, alike in zip(whole.steps, single.steps, strict=True):
        if isinstance(step, Draw) or isinstance(alike, Draw):
            assert isinstance(step, Draw)
            assert isinstance(alike, Draw)
            place = places.get(step.logits)
            if not isinstance(place, int):
                raise ValueError(
                    f"hnca: draw {step.name!r} at {step.line} is one for the whole batch; expected logits with the "
                    "batch as an axis."
                )
            _require_shape(whole, single, step, (step.output, alike.output), place)
            places[step.output] = place
            continue
        read = {p: places[a] for p, a in enumerate(step.inputs) if a in places}
        if not read:
            continue
        try:
            place = _after(whole, single, step, alike, read, size, of_size)
        except MixedError as reason:
            raise ValueError(
                f"hnca: {step.name!r} at {step.line} may mix the examples of the batch ({reason}); write the function "
                "for one example and give in_axes, without whole_batch."
            ) from None
        for pair in zip(step.outputs, alike.outputs, strict=True):
            _require_shape(whole, single, step, pair, place)
        places.update(dict.fromkeys(step.outputs, place))
    return places


def _after(
    whole: Program,
    single: Program,
    equation: Equation,
    alike: Equation,
    read: dict[int, Place],
    size: int,
    of_size: set[int],
) -> Place:
    axes = {argument: place for argument, place in read.items() if isinstance(place, int)}
    if len(axes) == len(read):
        place = _axis(whole, equation, axes, size)
        if not of_size.isdisjoint(equation.inputs):
            raise of_the_size(equation)
        return place
    return _after_sum(whole, single, equation, alike, read, of_size)


def _require_shape(
    whole: Program, single: Program, step: Equation | Draw, values: tuple[int, int], place: Place
) -> None:
    """Raises a ValueError if a value on a batch of one has another axis that is of another size than the batch's."""
    shape, of_one = (list(p.avals[v].shape) for p, v in zip((whole, single), values, strict=True))
    if isinstance(place, int):
        del shape[place], of_one[place]
    if shape != of_one:
        raise of_the_size(step)


def _after_sum(
    whole: Program,
    single: Program,
    equation: Equation,
    alike: Equation,
    read: dict[int, Place],
    of_size: set[int],
) -> Summed:
    """Returns the scale after an equation that has to be linear in what was summed."""
    summed = [place for place in read.values() if isinstance(place, Summed)]
    if len(summed) != len(read):
        raise MixedError("a sum over the batch meets single examples")
    scales = {place.scale for place in summed}
    if len(scales) > 1:
        raise MixedError("a sum over the batch is added to a mean")
    (scale,) = scales
    if equation.name in ("add", "sub", "neg", "add_any", "copy", "reshape", "squeeze", "convert_element_type"):
        return Summed(scale)
    if equation.name in ("mul", "div") and len(read) == 1 and (equation.name == "mul" or 0 in read):
        place = 1 - next(iter(read))
        if equation.inputs[place] not in of_size:
            return Summed(scale)
        number, of_one = _number(whole, equation.inputs[place]), _number(single, alike.inputs[place])
        if not number or not of_one:
            raise of_the_size(equation)
        ratio = number / of_one
        return Summed(scale * ratio if equation.name == "mul" else scale / ratio)
    raise MixedError("it is not linear in a sum over the batch")


def _number(program: Program, atom: int) -> float | None:
    """Returns the one number that a value is, if it is known beforehand."""
    value = program.known.get(atom, program.constants.get(atom))
    if value is None or isinstance(value, jax.core.Tracer) or np.size(value) != 1:
        return None
    return float(np.asarray(value).item())


def _axis(program: Program, equation: Equation, read: dict[int, int], size: int) -> Place:
    name, params = equation.name, equation.params
    shapes = [program.avals[atom].shape for atom in equation.inputs]
    out = program.avals[equation.outputs[0]].shape if equation.outputs else ()
    # Where the first argument has no batch, no rule for it alone applies: -1 is no axis.
    first = read.get(0, -1)
    if len(equation.outputs) == 1 and (name in primitives.ELEMENTWISE or is_elementwise_call(equation)):
        return _elementwise_axis(shapes, read, len(out))
    if first >= 0 and (name in primitives.REDUCTIONS or name in ("argmax", "argmin")):
        axes = [int(axis) for axis in params["axes"]]  # Of `jax.vmap` they are numpy's numbers.
        if first in axes:
            if name != "reduce_sum":
                raise MixedError("it reduces the batch by something else than a sum")
            if len(axes) > 1 and set(axes) != set(range(len(shapes[0]))):
                raise MixedError("it sums over the batch and not all else")
            return Summed(1.0)
        return first - sum(axis < first for axis in axes)
    if name == "dot_general":
        return _product_axis(params["dimension_numbers"], shapes, read)
    if first >= 0 and name == "broadcast_in_dim":
        return params["broadcast_dimensions"][first]
    if first >= 0 and name == "reshape":
        return _reshaped_axis(shapes[0], out, first, size)
    if first >= 0 and name == "transpose":
        return list(params["permutation"]).index(first)
    if first >= 0 and name == "squeeze":
        return first - sum(int(axis) < first for axis in params["dimensions"])
    if first >= 0 and name == "slice" and params["start_indices"][first] == 0 and out[first] == size:
        return first
    if name == "concatenate" and params["dimension"] != first and len(read) == len(shapes):
        return _elementwise_axis([shapes[p] for p in read], read, len(out), sizes_differ=True)
    if name == "rev" and first not in params["dimensions"]:
        return first
    if name in ("cumsum", "cumprod", "cummax", "cumlogsumexp") and params["axis"] != first:
        return first
    if name == "pad" and set(read) == {0} and params["padding_config"][first] == (0, 0, 0):
        return first
    if name == "gather" and set(read) == {1} and read[1] < len(shapes[1]) - 1:
        kept = [axis for axis in range(len(out)) if axis not in params["dimension_numbers"].offset_dims]
        return kept[read[1]]
    if name == "dynamic_slice" and set(read) == {0} and out[first] == size:
        return first
    raise MixedError("it is not known to keep them apart")


def _elementwise_axis(
    shapes: Sequence[tuple[int, ...]], read: dict[int, int], rank: int, *, sizes_differ: bool = False
) -> int:
    places = set(read.values())
    if len(places) != 1:
        raise MixedError("the batch is another axis in each argument")
    (axis,) = places
    if sizes_differ:
        return axis
    for place, shape in enumerate(shapes):
        if place not in read and len(shape) == rank and shape[axis] != 1:
            raise MixedError("an argument has a value for each example and is no batch of in_axes")
    return axis


def _product_axis(
    numbers: tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]],
    shapes: Sequence[tuple[int, ...]],
    read: dict[int, int],
) -> int:
    contracting, batch = numbers
    found = set()
    for side, axis in read.items():
        if axis in contracting[side]:
            raise MixedError("it sums products over the batch")
        if axis in batch[side]:
            found.add(list(batch[side]).index(axis))
            continue
        used = {*contracting[side], *batch[side]}
        free = [a for a in range(len(shapes[side])) if a not in used]
        before = len(batch[0])
        if side == 1:
            before += len(shapes[0]) - len(contracting[0]) - len(batch[0])
        found.add(before + free.index(axis))
    if len(found) != 1:
        raise MixedError("it multiplies every example with every other")
    return found.pop()


def _reshaped_axis(before: tuple[int, ...], after: tuple[int, ...], axis: int, size: int) -> int:
    ahead = int(np.prod(before[:axis], dtype=int))
    for place, length in enumerate(after):
        if length == size and int(np.prod(after[:place], dtype=int)) == ahead:
            return place
    raise MixedError("it runs the batch together with another axis")
