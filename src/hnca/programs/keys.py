"""Notices a key that is used twice, however it was reached."""

from typing import Any

import jax
import jax.numpy as jnp

from hnca.programs import primitives
from hnca.programs.equations import Draw, Equation, Program


class Keys:
    """Who has used which key of a program.

    Two draws with one key are not independent, nor is a draw of noise that `jax.random` makes with its key: both come
    of the same bits. The noise then goes with the value that a unit takes, and no estimator is unbiased.
    """

    def __init__(self, program: Program):
        self.program = program
        self._numbers: dict[int, Any] = {}
        self._draws: dict[Any, Draw] = {}
        self._noise: dict[Any, str] = {}

    def of_draw(self, draw: Draw) -> None:
        """Takes note of a draw's key.

        Raises:
            ValueError: if it has been used.
        """
        number = self._number(draw.key)
        other = self._draws.setdefault(number, draw)
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
            inputs = tuple(self._number(atom) for atom in equation.inputs)
            settings = str(sorted(equation.params.items(), key=lambda item: item[0]))
            for place, output in enumerate(equation.outputs):
                self._numbers[output] = (equation.name, settings, inputs, place)
        elif equation.name in primitives.NOISE:
            number = self._number(equation.inputs[0])
            self._noise.setdefault(number, equation.line)
            if number in self._draws:
                raise _shared(self._draws[number], equation.line)

    def _number(self, value: int) -> Any:
        """Returns what is equal for equal keys."""
        known = self.program.known.get(value)
        if known is not None:
            return known.dtype.str, known.tobytes()
        return self._numbers.get(value, value)


def _shared(draw: Draw, line: str) -> ValueError:
    return ValueError(
        f"hnca: draw {draw.name!r} at {draw.line} and what jax.random makes at {line} use one key, so that they are "
        "not independent; split it with jax.random.split."
    )
