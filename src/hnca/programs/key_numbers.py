"""Which keys of a program are the same, however they were reached: equal keys have equal numbers."""

import math
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hnca.programs.equations import Equation, Program
from hnca.programs.known import add_whole_numbers, whole_number

ARRANGING = ("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "copy")
TAKING = ("slice", "dynamic_slice", "gather", "rev", "transpose")
_MANY = 2**16
"""Of how many keys an array is not looked at key by key."""
_SAME = ("random_wrap", "random_unwrap", "random_clone")
"""What makes a key of its words, words of a key, or the key once more."""


class Repeated(NamedTuple):
    """An array of one key, several times."""

    key: Any


class Element(NamedTuple):
    """Part of an array of keys: the places in it, one after another, or what says them while the program runs."""

    whole: Any
    place: Any

    @property
    def is_told(self) -> bool:
        """Whether the program's text says which keys are taken."""
        return isinstance(self.place[0], int)


class KeyNumbers:
    """The numbers of a program's keys, and of its arrays of keys.

    A number is no more than something to compare: what a key was made of and how, or where it stands in an array.
    """

    def __init__(self, program: Program):
        """Begins with nothing.

        Args:
            program: the program, while it is written.
        """
        self.program = program
        self._numbers: dict[int, Any] = {}
        self._whole_numbers: dict[int, np.ndarray] = {}
        self._children: dict[Any, tuple[Any, tuple[int, ...]]] = {}
        self._parts: dict[Any, tuple[Any, ...]] = {}  # key by key
        self._made_so: dict[Any, int] = {}

    def of_steps(self, body: Program, inputs: Sequence[int]) -> "KeyNumbers":
        """Returns the numbers in the steps of a loop; a key of an array that is stacked stands for the whole array.

        Args:
            body: one step.
            inputs: what the loop is given for the step's inputs.
        """
        inside = KeyNumbers(body)
        inside._numbers = {inner: self.number(outer) for inner, outer in zip(body.inputs, inputs, strict=True)}
        inside._made_so, inside._children, inside._parts = self._made_so, self._children, self._parts
        return inside

    def add(self, equation: Equation) -> list[Any]:
        """Returns the numbers of the keys that an equation makes, of which note is taken; of none if it makes none."""
        add_whole_numbers(self.program, equation, self._whole_numbers)
        if not any(self.may_be_key(output) for output in equation.outputs):
            return []
        made = [self._made(equation, place) for place in range(len(equation.outputs))]
        self._numbers.update(zip(equation.outputs, made, strict=True))
        if children := self._children_of(equation):
            base = self.number(equation.inputs[0])
            self._children[made[0]] = base.key if isinstance(base, Repeated) else base, children
        return made

    def number(self, value: int) -> Any:
        """Returns what is equal for equal keys."""
        known = self.program.known.get(value)
        if known is not None:
            return known.dtype.str, known.tobytes()
        return self._numbers.get(value, (self, value))

    def keys_of(self, number: Any) -> Iterator[Hashable]:
        """Yields what a number stands for key by key, as far as that is known; several times what it has several times.

        The i-th of `split(key, n)` is `fold_in(key, i)`, whatever n is, as JAX makes both by default.
        """
        whole = number.whole if isinstance(number, Element) and number.is_told else number
        base, children = self._children.get(whole, (None, ()))
        if isinstance(number, Repeated):
            yield from [*self.keys_of(number.key)] * 2
        elif whole in self._parts:
            for place in range(len(self._parts[whole])) if whole is number else number.place:
                yield from self.keys_of(self._parts[whole][place])
        elif whole is not number:
            yield from ((base, children[place]) if children else (whole, place) for place in number.place)
        elif children:
            yield from ((base, child) for child in children)
        else:
            yield number

    def told(self, value: int) -> np.ndarray | None:
        """Returns whole numbers that follow from the program's text and what it closes over."""
        return whole_number(self.program, value, self._whole_numbers)

    def may_be_key(self, value: int) -> bool:
        """Returns whether it is an array of keys, or of words that may be those of keys."""
        dtype = self.program.avals[value].dtype
        return jnp.issubdtype(dtype, jax.dtypes.prng_key) or dtype == jnp.uint32

    def count(self, value: int) -> int:
        """Returns how many keys an array is."""
        aval = self.program.avals[value]
        return math.prod(aval.shape if jnp.issubdtype(aval.dtype, jax.dtypes.prng_key) else aval.shape[:-1])

    def _children_of(self, equation: Equation) -> tuple[int, ...]:
        """Returns which of the keys that can be made of one an equation makes, as far as the program's text says."""
        key = self.program.avals[equation.inputs[0]].dtype if equation.inputs else None
        if str(key) not in ("key<fry>", "key<rbg>") or not jax.config.jax_threefry_partitionable:  # type: ignore[attr-defined]
            return ()
        is_one, count = self.count(equation.inputs[0]) == 1, self.count(equation.outputs[0])
        if equation.name == "random_split" and is_one and count <= _MANY:
            return tuple(range(count))
        if equation.name != "random_fold_in" or not (is_one or isinstance(self.number(equation.inputs[0]), Repeated)):
            return ()
        known = self.told(equation.inputs[1])
        return () if known is None or known.size > _MANY else tuple(int(number) for number in known.ravel())

    def _made(self, equation: Equation, place: int) -> Any:
        """Returns the number of a key, or of an array of keys."""
        if not equation.inputs:
            return self, equation.outputs[place]
        source, made = equation.inputs[0], equation.outputs[place]
        after = self.count(made)
        inputs = tuple(self.number(atom) for atom in equation.inputs)
        if equation.name in _SAME:
            return inputs[0]
        if equation.name in ARRANGING:
            if self.program.avals[made].size <= self.program.avals[source].size or after <= self.count(source):
                return inputs[0]
            if self.count(source) == 1 or isinstance(inputs[0], Repeated):
                return Repeated(inputs[0].key if isinstance(inputs[0], Repeated) else inputs[0])
            return self._taken(equation, inputs) or self._new(equation, inputs, place)
        if equation.name in TAKING:
            if isinstance(inputs[0], Repeated):
                return inputs[0].key if after == 1 else inputs[0]
            way = (equation.name, settings_of(equation), inputs[1:])
            return self._taken(equation, inputs) or Element(inputs[0], way)
        number = self._new(equation, inputs, place)
        if equation.name == "concatenate" and 1 < after <= _MANY:
            if math.prod(self.program.avals[made].shape[: equation.params["dimension"]]) > 1:
                return Repeated(inputs[0]) if len(set(inputs)) < len(inputs) else number
            counts = [self.count(atom) for atom in equation.inputs]
            self._parts[number] = tuple(p for i, c in zip(inputs, counts, strict=True) for p in _one_by_one(i, c))
        return number

    def _new(self, equation: Equation, inputs: Sequence[Any], place: int) -> int:
        """Returns a number for what an equation makes of what has these: not that itself, which would grow with it."""
        made_so = (equation.name, settings_of(equation), tuple(inputs), place)
        return self._made_so.setdefault(made_so, len(self._made_so))

    def _taken(self, equation: Equation, inputs: Sequence[Any]) -> Any:
        """Returns the number of the keys that an equation takes out of an array; None if the text does not say which.

        The first of two keys is the same by whatever way it is taken.
        """
        is_part = isinstance(inputs[0], Element)
        whole, place = inputs[0] if is_part else (inputs[0], None)
        known = [self.told(value) for value in equation.inputs[1:]]
        shape, size = self.program.avals[equation.inputs[0]].shape, self.count(equation.inputs[0])
        numbers = [value for value in known if value is not None]
        if len(numbers) < len(known) or size > _MANY or (is_part and not inputs[0].is_told):
            return None
        words = math.prod(shape) // max(size, 1)
        with jax.ensure_compile_time_eval():
            (taken,) = equation.apply([jnp.arange(math.prod(shape)).reshape(shape), *numbers])
        places = np.asarray(taken).reshape(-1, words) if taken.size % max(words, 1) == 0 else np.zeros((0, words), int)
        if not places.size or np.any(places != places[:, :1] + np.arange(words)) or np.any(places[:, 0] % words):
            return None  # not of whole keys
        within = tuple(int(p) for p in places[:, 0] // words)
        within = within if place is None else tuple(place[p] for p in within)
        return whole if within == tuple(range(size)) and place is None else Element(whole, within)


def settings_of(equation: Equation) -> str:
    """Returns an equation's parameters as a text that is equal for equal ones."""
    return str(sorted(equation.params.items(), key=lambda item: item[0]))


def _one_by_one(number: Any, count: int) -> list[Any]:
    """Returns the numbers of an array's keys."""
    if isinstance(number, Repeated):
        return [number.key] * count
    if isinstance(number, Element) and number.is_told:
        return [Element(number.whole, (place,)) for place in number.place]
    return [number] if count == 1 else [Element(number, (place,)) for place in range(count)]
