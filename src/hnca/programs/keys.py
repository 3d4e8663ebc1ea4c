"""Notices a key that is used twice, however it was reached."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hnca.programs import primitives
from hnca.programs.chosen_keys import ChosenKeys, Origin
from hnca.programs.equations import Draw, Equation, Program
from hnca.programs.magnitudes import number_in_text

_ARRANGING = ("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "copy")
_MANY = 2**16
"""Of how many keys an array is not looked at key by key."""
_TAKING = ("slice", "dynamic_slice", "gather", "rev", "transpose")
_SAME = ("random_wrap", "random_unwrap", "random_clone")
"""What makes a key of its words, words of a key, or the key once more."""


class _Repeated(NamedTuple):
    """An array of one key, several times."""

    key: Any


class _Element(NamedTuple):
    """Part of an array of keys: the places in it, one after another, or what says them while the program runs."""

    whole: Any
    place: Any


class Keys:
    """Who has used which key of a program.

    Two draws with one key are not independent, nor is a draw of noise that `jax.random` makes with its key: both come
    of the same bits. The noise then goes with the value that a unit takes, and no estimator is unbiased.

    Attributes:
        chosen: those that are chosen by draws.
    """

    def __init__(self, program: Program, random: set[int]):
        """Begins with nothing.

        Args:
            program: the program, while it is written.
            random: its values that read a draw, as far as it is written.
        """
        self.program, self._random = program, random
        self.chosen = ChosenKeys()
        self._numbers: dict[int, Any] = {}
        self._draws: dict[Any, Draw] = {}
        self._of_element: dict[Any, Draw] = {}
        self._of_place: dict[Any, Draw] = {}
        self._noise: dict[Any, str] = {}
        self._children: dict[Any, tuple[Any, tuple[int, ...]]] = {}
        self._of_child: dict[Any, Draw | str] = {}
        self._made_so: dict[Any, int] = {}

    def of_steps(self, body: Program, inputs: Sequence[int], random: set[int]) -> "Keys":
        """Returns the same for the steps of a loop; a key of an array that is stacked stands for the whole array.

        What a step chooses by the draws of steps before it is looked at when the whole loop is known.

        Args:
            body: one step.
            inputs: what the loop is given for the step's inputs.
            random: as for `Keys`, of a step.
        """
        inside = Keys(body, random)
        inside._numbers = {inner: self._number(outer) for inner, outer in zip(body.inputs, inputs, strict=True)}
        inside._draws, inside._of_element, inside._noise = self._draws, self._of_element, self._noise
        inside._of_place, inside._made_so, inside.chosen = self._of_place, self._made_so, self.chosen
        inside._children, inside._of_child = self._children, self._of_child
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
            for place in number.place if _is_told(number.place) else ():
                before = self._of_place.setdefault((number.whole, place), draw)
                other = before if other is draw else other
        sibling = self._use_of_children(number, draw)
        if isinstance(sibling, str):
            raise _shared(draw, sibling)
        other = sibling if other is draw else other
        if other is not draw:
            raise ValueError(
                f"hnca: draws {other.name!r} at {other.line} and {draw.name!r} at {draw.line} use one key, so that "
                "they are not independent; split it with jax.random.split."
            )
        if number in self._noise:
            raise _shared(draw, self._noise[number])
        self.chosen.used(number, draw)

    def _use_of_children(self, number: Any, by: Draw | str) -> Draw | str:
        """Returns who else uses one of the keys of a number, or else who does now.

        The i-th of `split(key, n)` is `fold_in(key, i)`, whatever n is, as JAX makes both by default.

        Args:
            number: of a key, or of an array of keys.
            by: the draw, or the line of noise; noise and noise may have one key.
        """
        element = isinstance(number, _Element) and _is_told(number.place)
        base, places = self._children.get(number.whole if element else number, (None, ()))
        for place in [places[p] for p in number.place] if element and places else places:
            other = self._of_child.setdefault((base, place), by)
            if other is not by and (isinstance(other, Draw) or isinstance(by, Draw)):
                return other
        return by

    def _children_of(self, equation: Equation) -> tuple[int, ...]:
        """Returns which of the keys that can be made of one an equation makes, as far as the program's text says."""
        key = self.program.avals[equation.inputs[0]].dtype if equation.inputs else None
        if str(key) not in ("key<fry>", "key<rbg>") or not jax.config.jax_threefry_partitionable:  # type: ignore[attr-defined]
            return ()
        count = self._count(equation.outputs[0])
        if equation.name == "random_split" and self._count(equation.inputs[0]) == 1 and count <= _MANY:
            return tuple(range(count))
        known = number_in_text(self.program, equation.inputs[1]) if equation.name == "random_fold_in" else None
        return (int(known),) if known is not None and known.size == 1 else ()

    def of_equation(self, equation: Equation) -> None:
        """Takes note of the keys that an equation makes, and of that by which it makes noise.

        Raises:
            ValueError: if it makes noise by the key of a draw.
        """
        if any(self._may_be_key(output) for output in equation.outputs):
            for place, output in enumerate(equation.outputs):
                self._numbers[output] = made = self._made(equation, place)
                self.chosen.made(made, self._origins(equation, made))
                if children := self._children_of(equation):
                    self._children[made] = self._number(equation.inputs[0]), children
        if equation.name in primitives.NOISE:
            number = self._number(equation.inputs[0])
            self._noise.setdefault(number, equation.line)
            draw = self._draws.get(number, self._use_of_children(number, equation.line))
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
            keys = [value for value in inputs[1:] if self._may_be_key(value)]
            return [Origin(self._number(value), way, drawn[0]) for value in keys]
        if name == "random_seed":
            return [Origin(name, "seeded", drawn[0])]
        if name not in primitives.KEYS and name not in (*_TAKING, *_ARRANGING):
            return []
        base = self._number(inputs[0])
        if name == "random_fold_in":
            known = number_in_text(self.program, inputs[1])
            several = drawn[1] and self._count(equation.outputs[0]) > self._count(inputs[0])
            return [Origin(base, "folded", drawn[1], several, None if known is None else known.tobytes())]
        if name not in _TAKING:
            return [Origin(base, None)]
        place = made.place if isinstance(made, _Element) and _is_told(made.place) else None
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

    def _made(self, equation: Equation, place: int) -> Any:
        """Returns the number of a key, or of an array of keys."""
        if not equation.inputs:
            return self, equation.outputs[place]
        source, made = equation.inputs[0], equation.outputs[place]
        after = self._count(made)
        inputs = tuple(self._number(atom) for atom in equation.inputs)
        if equation.name in _SAME:
            return inputs[0]
        if equation.name in _ARRANGING:
            grows = self.program.avals[made].size > self.program.avals[source].size and after > self._count(source)
            return _Repeated(inputs[0]) if grows else inputs[0]
        if equation.name == "concatenate" and len(set(inputs)) < len(inputs) and after > 1:
            return _Repeated(inputs[0])
        settings = str(sorted(equation.params.items(), key=lambda item: item[0]))
        if equation.name in _TAKING:
            if isinstance(inputs[0], _Repeated):
                return inputs[0].key if after == 1 else inputs[0]
            return self._taken(equation, inputs) or _Element(inputs[0], (equation.name, settings, inputs[1:]))
        # Not what it is made of itself: of what is read in several places, that would be told as often.
        return self._made_so.setdefault((equation.name, settings, inputs, place), len(self._made_so))

    def _taken(self, equation: Equation, inputs: Sequence[Any]) -> Any:
        """Returns the number of the keys that an equation takes out of an array; None if the text does not say which.

        The first of two keys is the same by whatever way it is taken.
        """
        whole, place = inputs[0] if isinstance(inputs[0], _Element) else (inputs[0], None)
        known = [number_in_text(self.program, value) for value in equation.inputs[1:]]
        shape, size = self.program.avals[equation.inputs[0]].shape, self._count(equation.inputs[0])
        numbers = [value for value in known if value is not None]
        if len(numbers) < len(known) or size > _MANY or not (place is None or _is_told(place)):
            return None
        words = math.prod(shape) // max(size, 1)
        with jax.ensure_compile_time_eval():
            (taken,) = equation.apply([jnp.arange(math.prod(shape)).reshape(shape), *numbers])
        places = np.asarray(taken).reshape(-1, words) if taken.size % max(words, 1) == 0 else np.zeros((0, words), int)
        if not places.size or np.any(places != places[:, :1] + np.arange(words)) or np.any(places[:, 0] % words):
            return None  # not of whole keys
        within = tuple(int(p) for p in places[:, 0] // words)
        within = within if place is None else tuple(place[p] for p in within)
        return whole if within == tuple(range(size)) and place is None else _Element(whole, within)

    def _may_be_key(self, value: int) -> bool:
        """Returns whether it is an array of keys, or of words that may be those of keys."""
        dtype = self.program.avals[value].dtype
        return jnp.issubdtype(dtype, jax.dtypes.prng_key) or dtype == jnp.uint32

    def _count(self, value: int) -> int:
        """Returns how many keys an array is."""
        aval = self.program.avals[value]
        return math.prod(aval.shape if jnp.issubdtype(aval.dtype, jax.dtypes.prng_key) else aval.shape[:-1])

    def _number(self, value: int) -> Any:
        """Returns what is equal for equal keys."""
        known = self.program.known.get(value)
        if known is not None:
            return known.dtype.str, known.tobytes()
        return self._numbers.get(value, (self, value))


def _is_told(place: tuple[Any, ...]) -> bool:
    """Returns whether the program's text says which keys are taken."""
    return isinstance(place[0], int)


def _shared(draw: Draw, line: str) -> ValueError:
    return ValueError(
        f"hnca: draw {draw.name!r} at {draw.line} and what jax.random makes at {line} use one key, so that they are "
        "not independent; split it with jax.random.split."
    )


def _hands_on(equation: Equation) -> bool:
    """Returns whether the branches of a choice hand on what they are given."""
    branches = [branch.jaxpr for branch in equation.params["branches"]]
    return all(result in branch.invars for branch in branches for result in branch.outvars)
