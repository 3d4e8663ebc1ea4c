"""Notices a key that is used twice, however it was reached."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from hnca.programs import primitives
from hnca.programs.chosen_keys import ChosenKeys, Origin
from hnca.programs.equations import Draw, Equation, Program
from hnca.programs.key_numbers import ARRANGING, TAKING, Element, KeyNumbers


class Keys:
    """Who has used which key of a program.

    Two draws with one key are not independent, nor is a draw of noise that `jax.random` makes with its key: both come
    of the same bits. The noise then goes with the value that a unit takes, and no estimator is unbiased.

    Attributes:
        chosen: those that are chosen by draws.
    """

    def __init__(self, program: Program, random: set[int], numbers: KeyNumbers | None = None):
        """Begins with nothing.

        Args:
            program: the program, while it is written.
            random: its values that read a draw, as far as it is written.
            numbers: of its keys, where some are known.
        """
        self.program, self._random = program, random
        self.chosen = ChosenKeys()
        self._numbers = KeyNumbers(program) if numbers is None else numbers
        self._draws: dict[Any, Draw] = {}
        self._noise: dict[Any, str] = {}

    def of_steps(self, body: Program, inputs: Sequence[int], random: set[int]) -> "Keys":
        """Returns the same for the steps of a loop; a key of an array that is stacked stands for the whole array.

        What a step chooses by the draws of steps before it is looked at when the whole loop is known.

        Args:
            body: one step.
            inputs: what the loop is given for the step's inputs.
            random: as for `Keys`, of a step.
        """
        inside = Keys(body, random, self._numbers.of_steps(body, inputs))
        inside._draws, inside._noise, inside.chosen = self._draws, self._noise, self.chosen
        return inside

    def of_draw(self, draw: Draw) -> None:
        """Takes note of a draw's key.

        Raises:
            ValueError: if it has been used.
        """
        number = self._numbers.number(draw.key)
        keys = [*self._numbers.keys_of(number)]
        if len(set(keys)) < len(keys):
            raise ValueError(
                f"hnca: draw {draw.name!r} at {draw.line} has one key for several of its units, so that they would not "
                "be independent; map over keys of their own, jax.random.split(key, n)."
            )
        other = self._use(number, keys, draw)
        if isinstance(other, str):
            raise _shared(draw, other)
        if other is not None:
            raise ValueError(
                f"hnca: draws {other.name!r} at {other.line} and {draw.name!r} at {draw.line} use one key, so that "
                "they are not independent; split it with jax.random.split."
            )
        self.chosen.used(number, draw)

    def _use(self, number: Any, keys: Iterable[Any], by: Draw | str) -> Draw | str | None:
        """Returns who else uses a key, or one of an array; takes note of who does now.

        Args:
            number: of the key, or of the array.
            keys: what it stands for key by key.
            by: the draw, or the line of noise; noise and noise may have one key.
        """
        is_part = isinstance(number, Element)
        apiece = [("key", key) for key in keys]
        # Of an array of which nothing more is known, a part is used with the whole, and the whole with any part.
        mine = [*apiece, ("part", number.whole) if is_part else ("whole", number)]
        against = [*apiece, ("whole", number.whole) if is_part else ("part", number)]
        others: list[Draw | str | None] = [self._draws.get(key) for key in against]
        others += [self._noise.get(key) for key in against] if isinstance(by, Draw) else []
        registry: dict[Any, Any] = self._draws if isinstance(by, Draw) else self._noise
        for key in mine:
            registry.setdefault(key, by)
        return next((other for other in others if other is not None), None)

    def of_equation(self, equation: Equation) -> None:
        """Takes note of the keys that an equation makes, and of that by which it makes noise.

        Raises:
            ValueError: if it makes noise by the key of a draw.
        """
        for made in self._numbers.add(equation):
            self.chosen.made(made, self._origins(equation, made))
        if equation.name in primitives.NOISE:
            number = self._numbers.number(equation.inputs[0])
            draw = self._use(number, self._numbers.keys_of(number), equation.line)
            if isinstance(draw, Draw):
                raise _shared(draw, equation.line)
            self.chosen.used(number, equation.line)

    def _origins(self, equation: Equation, made: Any) -> list[Origin]:
        """Returns what a key, or an array of keys, is made of by an equation, and whether it is chosen by a draw.

        Args:
            equation: the equation.
            made: the number of what it makes.
        """
        name, inputs = equation.name, equation.inputs
        drawn = [value in self._random for value in inputs]
        if name in ("select_n", "cond"):
            way = "selected" if name == "select_n" or _hands_on(equation) else "branched"
            keys = [value for value in inputs[1:] if self._numbers.may_be_key(value)]
            return [Origin(self._numbers.number(value), way, drawn[0]) for value in keys]
        if name == "random_seed":
            return [Origin(name, "seeded", drawn[0])]
        if name not in primitives.KEYS and name not in (*TAKING, *ARRANGING):
            return []
        base = self._numbers.number(inputs[0])
        if name == "random_fold_in":
            known = self._numbers.told(inputs[1])
            several = drawn[1] and self._numbers.count(equation.outputs[0]) > self._numbers.count(inputs[0])
            return [Origin(base, "folded", drawn[1], several, None if known is None else known.tobytes())]
        if name not in TAKING:
            return [Origin(base, None)]
        place = made.place if isinstance(made, Element) and made.is_told else None
        return [Origin(base, "taken", any(drawn[1:]), any(drawn[1:]) and self._takes_several(equation), place)]

    def _takes_several(self, equation: Equation) -> bool:
        """Returns whether an equation takes keys at several places, each of which may be where another one is."""
        if equation.name != "gather" or equation.params["dimension_numbers"].operand_batching_dims:
            return False
        producer = self.program.producers.get(equation.inputs[1])
        # A row that is counted and a place in it that is drawn: of every row one.
        by_row = (
            producer is not None and producer.name == "concatenate" and not self._random.issuperset(producer.inputs)
        )
        return not by_row and math.prod(self.program.avals[equation.inputs[1]].shape[:-1]) > 1


def _shared(draw: Draw, line: str) -> ValueError:
    return ValueError(
        f"hnca: draw {draw.name!r} at {draw.line} and what jax.random makes at {line} use one key, so that they are "
        "not independent; split it with jax.random.split."
    )


def _hands_on(equation: Equation) -> bool:
    """Returns whether the branches of a choice hand on what they are given."""
    branches = [branch.jaxpr for branch in equation.params["branches"]]
    return all(result in branch.invars for branch in branches for result in branch.outvars)
