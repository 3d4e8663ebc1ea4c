"""The program of one example, made of the program of a whole batch.

From the draws on, every value has the batch as one of its axes, or has been summed over it. What reads no draw may mix
examples as it likes (statistics of the data, the batch's size): it is computed once for all, and an example reads its
own row of it, or all. What reads draws is written again with an axis of 1 in place of the batch's.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice, product
from typing import Any, NamedTuple

import jax
import numpy as np

from hnca.programs.batch_axis import Apart, Asked, MixedError, apart
from hnca.programs.calls_of_one import CALLS, apart_inside, calls_of, params_of_one
from hnca.programs.equations import Draw, Equation, Program
from hnca.programs.kinds import is_linear

_MOST_CHOICES = 16
"""How many choices of batch axes are tried, where several would do by their sizes."""


class Input(NamedTuple):
    """What the program of one example reads of that of the batch.

    Attributes:
        value: its number in the program of the batch.
        axis: along which each example reads its own row, of size 1 there; None for all of it.
    """

    value: int
    axis: int | None


class BatchOfOne(NamedTuple):
    """One example's part of a program.

    Attributes:
        program: of one example. What reads draws, and these, have the numbers that they have in the whole program.
        inputs: what its inputs are.
        axes: the batch axis of every draw, by output.
    """

    program: Program
    inputs: list[Input]
    axes: dict[int, int]


def batch_of_one(whole: Program, size: int, trace_one: Callable[[], Program]) -> BatchOfOne | None:
    """Returns one example's part of a program on a batch; None if its result is no sum over the batch.

    Args:
        whole: the program.
        size: of the batch.
        trace_one: traces the same function on a batch of one, which functions with derivatives of their own are taken
            from: only JAX can write these for another size.

    Raises:
        ValueError: if an equation between draws and result may mix examples. The message gives its line.
    """
    result = whole.outputs[0]
    if not isinstance(result, int):
        return None
    refusals: list[ValueError] = []
    for chosen in _batch_axes(whole, size):
        writer = _Writer(whole, size, trace_one, chosen)
        try:
            for step in _steps_before(whole, result):
                writer.write(step)
        except ValueError as refusal:
            refusals.append(refusal)
            continue
        return writer.finished(result) if writer.axes.get(result, 0) is None else None
    raise refusals[0]


def _batch_axes(program: Program, size: int) -> Iterator[dict[int, int]]:
    """Yields, for draws that have axes of the batch's size, which of them is the batch's: the first ones first.

    Where there are as many units as examples, shapes do not tell. Any axis is right along which no example meets
    another from there on.
    """
    axes = [[axis for axis, length in enumerate(draw.shape) if length == size] for draw in program.draws.values()]
    outputs = [output for output, found in zip(program.draws, axes, strict=True) if found]
    for chosen in islice(product(*filter(None, axes)), _MOST_CHOICES):
        yield dict(zip(outputs, chosen, strict=True))


def _steps_before(program: Program, result: int) -> list[Equation | Draw]:
    """Returns the steps that the result depends on, and all draws with what they depend on."""
    wanted, steps = {result}, []
    for step in reversed(program.steps):
        if isinstance(step, Draw):
            wanted.add(step.logits)
        elif wanted.isdisjoint(step.outputs):
            continue
        else:
            wanted.update(step.inputs)
        steps.append(step)
    return steps[::-1]


class _Writer:
    """Writes the program of one example.

    Attributes:
        axes: of what reads draws, the axis of the batch, or None once it is summed.
    """

    def __init__(self, whole: Program, size: int, trace_one: Callable[[], Program], chosen: Mapping[int, int]):
        self.whole, self.size, self.trace_one, self.chosen = whole, size, trace_one, chosen
        self.program = Program(avals=list(whole.avals), constants=whole.constants, known=dict(whole.known))
        self.program.log_weight = whole.log_weight
        self.axes: dict[int, int | None] = {}
        self.inputs: dict[Input, int] = {}
        self.calls: dict[tuple[int, ...], Equation] | None = None

    def finished(self, result: int) -> BatchOfOne:
        """Returns the program, once all is written."""
        self.program.inputs, self.program.outputs = list(self.inputs.values()), [result]
        axes = {output: axis for output in self.program.draws if (axis := self.axes[output]) is not None}
        return BatchOfOne(self.program, list(self.inputs), axes)

    def write(self, step: Equation | Draw) -> None:
        """Writes a step of the whole program, if it reads draws."""
        if isinstance(step, Draw):
            self._write_draw(step)
            return
        read = {place: self.axes[atom] for place, atom in enumerate(step.inputs) if atom in self.axes}
        if not read:
            return
        try:
            self._write_equation(step, read)
        except MixedError as reason:
            raise ValueError(
                f"hnca: {step.name!r} at {step.line} may mix the examples of the batch ({reason}); write the function "
                "for one example and give in_axes, without whole_batch."
            ) from None

    def _write_draw(self, draw: Draw) -> None:
        logits = draw.logits
        if logits in self.axes:
            axis = self.axes[logits]
        else:
            axis = self.chosen.get(draw.output)
            logits = logits if axis is None else self._row(logits, axis)
        if axis is None or axis == len(draw.shape):
            raise ValueError(
                f"hnca: draw {draw.name!r} at {draw.line} is one for the whole batch; expected logits with the batch "
                "as an axis."
            )
        self._note(draw.output, axis)
        # A key of its own that nothing makes: what is drawn is given, and differs by example.
        key = self.program.new_value(self.whole.avals[draw.key])
        shape = self.program.avals[draw.output].shape
        self.program.add_draw(replace(draw, key=key, logits=logits, shape=shape, given=None))

    def _write_equation(self, step: Equation, read: Mapping[int, int | None]) -> None:
        axes = {place: axis for place, axis in read.items() if axis is not None}
        if not axes:
            self._require_linear(step, read)
            found = Apart(None)
        elif len(axes) < len(read):
            raise MixedError("a sum over the batch meets single examples")
        else:
            asked = Asked(self.whole, step, axes, self.size)
            found = apart_inside(asked) if step.name in CALLS else apart(asked)
        inputs = [self._argument(place, atom, found) for place, atom in enumerate(step.inputs)]
        for output in step.outputs:
            self._note(output, found.axis)
        params = dict(found.params)
        if axes and step.name in CALLS:
            params = params_of_one(step, self._at_one(step), self.program, inputs)
        original = step.original.replace(params={**step.params, **params}) if params else step.original
        self.program.add(replace(step, inputs=tuple(inputs), original=original))

    def _require_linear(self, step: Equation, read: Mapping[int, int | None]) -> None:
        dependent = [place in read for place in range(len(step.inputs))]
        if len(step.outputs) != 1 or not is_linear(self.whole, step, dependent):
            raise MixedError("it is not linear in a sum over the batch")

    def _argument(self, place: int, atom: int, found: Apart) -> int:
        if atom in self.axes:
            return atom
        if place not in found.rows:
            return self._shared(atom)
        row = self._row(atom, found.rows[place])
        return row if found.first_row is None else self._with_first_row(row, found.first_row)

    def _shared(self, atom: int) -> int:
        if atom not in self.program.known and atom not in self.program.constants:
            self.inputs[Input(atom, None)] = atom
        return atom

    def _row(self, atom: int, axis: int) -> int:
        """Returns the number of an example's row of a value; one that is the same for all is known."""
        known = self.whole.known.get(atom)
        if known is not None:
            first = np.take(known, [0], axis)
            if np.array_equal(np.broadcast_to(first, known.shape), known, equal_nan=known.dtype.kind == "f"):
                return self.program.new_known(first)
        chosen = Input(atom, axis)
        if chosen not in self.inputs:
            self.inputs[chosen] = self.program.new_value(_with_one(self.whole.avals[atom], axis))
        return self.inputs[chosen]

    def _with_first_row(self, indices: int, column: int) -> int:
        """Writes indices of which one column, which counts examples, is that of the only one there is."""
        aval = self.program.avals[indices]
        kept = np.arange(aval.shape[-1]) != column
        mask = self.program.new_known(np.broadcast_to(kept, aval.shape).astype(aval.dtype))
        output = self.program.new_value(aval)
        made = jax.make_jaxpr(jax.lax.mul)(*(jax.ShapeDtypeStruct(aval.shape, aval.dtype),) * 2).eqns[0]
        self.program.add(Equation("mul", (indices, mask), (output,), made, "an unknown line"))
        return output

    def _note(self, value: int, axis: int | None) -> None:
        self.axes[value] = axis
        if axis is not None:
            self.program.avals[value] = _with_one(self.whole.avals[value], axis)

    def _at_one(self, step: Equation) -> Equation | None:
        """Returns the same call as it is on a batch of one, if it is there."""
        if self.calls is None:
            whole, one = calls_of(self.whole), calls_of(self._traced_on_one(step))
            self.calls = dict(zip((call.outputs for call in whole), one, strict=True)) if len(whole) == len(one) else {}
        return self.calls.get(step.outputs)

    def _traced_on_one(self, step: Equation) -> Program:
        try:
            return self.trace_one()
        except Exception as error:
            reason = str(error).strip().partition("\n")[0].removesuffix(".")
            raise ValueError(
                f"hnca: {step.name!r} at {step.line} has a derivative of its own or is checkpointed; with whole_batch "
                f"the function is traced on a batch of one for it, which fails: {reason}. Let it take what is of the "
                "batch's size (labels, given values) as arguments, with 0 in in_axes, and the size itself from their "
                "shape; or write it for one example and give in_axes, without whole_batch."
            ) from error


def _with_one(aval: Any, axis: int) -> Any:
    shape = tuple(1 if a == axis else size for a, size in enumerate(aval.shape))
    return jax.core.ShapedArray(shape, aval.dtype)
