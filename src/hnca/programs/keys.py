"""Notices a key that is used twice, however it was reached."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from hnca.programs import primitives
from hnca.programs.equations import Draw, Equation, Program

_ARRANGING = ("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "copy")
_TAKING = ("slice", "dynamic_slice", "gather")


class _Repeated(NamedTuple):
    """An array of one key, several times."""

    key: Any


class _Element(NamedTuple):
    """Part of an array of keys."""

    whole: Any
    place: Any


class Keys:
    """Who has used which key of a program.

    Two draws with one key are not independent, nor is a draw of noise that `jax.random` makes with its key: both come
    of the same bits. The noise then goes with the value that a unit takes, and no estimator is unbiased.
    """

    def __init__(self, program: Program):
        self.program = program
        self._numbers: dict[int, Any] = {}
        self._draws: dict[Any, Draw] = {}
        self._of_element: dict[Any, Draw] = {}
        self._noise: dict[Any, str] = {}

    def of_steps(self, body: Program, inputs: Sequence[int]) -> "Keys":
        """Returns the same for the steps of a loop; a key of an array that is stacked stands for the whole array.

        Args:
            body: one step.
            inputs: what the loop is given for the step's inputs.
        """
        inside = Keys(body)
        inside._numbers = {inner: self._number(outer) for inner, outer in zip(body.inputs, inputs, strict=True)}
        inside._draws, inside._of_element, inside._noise = self._draws, self._of_element, self._noise
        return inside

    def of_draw(self, draw: Draw) -> None:
        """Takes note of a draw's key.

        Raises:
            ValueError: if it has been used.
        """
        number = self._number(draw.key)
        if isinstance(number, _Repeated):
            raise ValueError(
                f"hnca: draw {draw.name!r} at {draw.line} has one key for several of its units, so that they would not "
                "be independent; map over keys of their own, jax.random.split(key, n)."
            )
        other = self._draws.setdefault(number, draw)
        if other is draw:
            other = self._of_element.get(number, draw)
        if other is draw and isinstance(number, _Element):
            self._of_element.setdefault(number.whole, draw)
            other = self._draws.get(number.whole, draw)
        if other is not draw:
            raise ValueError(
                f"hnca: draws {other.name!r} at {other.line} and {draw.name!r} at {draw.line} use one key, so that "
                "they are not independent; split it with jax.random.split."
            )
        if number in self._noise:
            raise _shared(draw, self._noise[number])

    def of_equation(self, equation: Equation) -> None:
        """Takes note of the keys that an equation makes, and of that by which it makes noise.

        Raises:
            ValueError: if it makes noise by the key of a draw.
        """
        avals = self.program.avals
        if any(jnp.issubdtype(avals[o].dtype, jax.dtypes.prng_key) for o in equation.outputs):
            for place, output in enumerate(equation.outputs):
                self._numbers[output] = self._made(equation, place)
        elif equation.name in primitives.NOISE:
            number = self._number(equation.inputs[0])
            self._noise.setdefault(number, equation.line)
            if number in self._draws:
                raise _shared(self._draws[number], equation.line)

    def _made(self, equation: Equation, place: int) -> Any:
        """Returns the number of a key, or of an array of keys."""
        before, after = (math.prod(self.program.avals[v].shape) for v in (equation.inputs[0], equation.outputs[place]))
        inputs = tuple(self._number(atom) for atom in equation.inputs)
        if equation.name in _ARRANGING:
            return inputs[0] if after <= before else _Repeated(inputs[0])
        if equation.name == "concatenate" and len(set(inputs)) < len(inputs):
            return _Repeated(inputs[0])
        settings = str(sorted(equation.params.items(), key=lambda item: item[0]))
        if equation.name in _TAKING:
            if isinstance(inputs[0], _Repeated):
                return inputs[0].key if after == 1 else inputs[0]
            return _Element(inputs[0], (equation.name, settings, inputs[1:]))
        return equation.name, settings, inputs, place

    def _number(self, value: int) -> Any:
        """Returns what is equal for equal keys."""
        known = self.program.known.get(value)
        if known is not None:
            return known.dtype.str, known.tobytes()
        return self._numbers.get(value, (self, value))


def _shared(draw: Draw, line: str) -> ValueError:
    return ValueError(
        f"hnca: draw {draw.name!r} at {draw.line} and what jax.random makes at {line} use one key, so that they are "
        "not independent; split it with jax.random.split."
    )
