"""A part of a program between the draws it reads directly and a value: run again, or taken apart into rows."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hnca.messages import MOST_OPERATIONS
from hnca.programs import primitives
from hnca.programs.dependence import outputs_that_depend
from hnca.programs.equations import Draw, Equation, Program, needed, run
from hnca.programs.kinds import NONLINEAR, Kinds
from hnca.programs.magnitudes import are_exact_floats, largest_brought
from hnca.programs.rows import rows_of
from hnca.programs.soft import evaluate
from hnca.programs.surroundings import Surroundings

LARGE = {2: 200.0, 4: 3e4, 8: 1e9}
"""From where on a number of the program's text stands for an infinity, by the size of the dtype: a mask."""
_FEW, _OPERATIONS = 64, 2**20
"""How many other values of units, and how many operations an example, are evaluated rather than to be an ulp off, where
that matters, or to have a stand-in for an infinity."""
_SEVERAL = 3
"""From how many draws on evaluations are made side by side."""


class Part:
    """What lies between some draws and some values, for one example.

    Attributes:
        program: whose part.
        kinds: how its values answer to draws.
        outputs: the values.
        draws: the draws that they read directly.
        surroundings: the values that the part reads beside them.
    """

    def __init__(self, program: Program, kinds: Kinds, outputs: Sequence[int], given: Sequence[int] = ()):
        self.program, self.kinds, self.outputs = program, kinds, tuple(outputs)
        self.draws = tuple(dict.fromkeys(draw for output in outputs for draw in kinds.get(output, {})))
        # What reads no draw is not computed again.
        steps = {v for e in program.equations for v in e.outputs if not kinds.get(v)}
        stop = {*self.draws, *given, *(steps - set(program.known))}
        self.equations, read = needed(program, self.outputs, stop)
        self.surroundings = frozenset(v for v in read if v not in program.known) - set(self.draws) - set(given)
        self.surroundings |= {o for o in self.outputs if not kinds.get(o) and o not in program.known} - set(given)

    def states(
        self, states: Mapping[int, Array], values: Mapping[int, Array], *, infinite: bool = True
    ) -> dict[int, Array]:
        """Returns the values of the outputs, the draws given by the states of their units.

        Args:
            states: by the draws' outputs, as for `soft.evaluate`.
            values: the surroundings, and whatever else is given.
            infinite: as for `soft.evaluate`.
        """
        infinite = infinite and self.may_be_infinite
        return evaluate(self.program, self.kinds, self.equations, values, states, self.outputs, infinite)

    def rows(
        self, values: Mapping[int, Array], draws: Iterable[int], dtype: jnp.dtype
    ) -> dict[int, dict[int, Float[Array, "features ..."]]]:
        """Returns the rows of the outputs, by draw, all draws' values among those given."""
        everything = run(self.program, self.equations, values)
        program, kinds, equations = self.program, self.kinds, self.equations
        return {draw: rows_of(program, kinds, equations, everything, draw, self.outputs, dtype) for draw in draws}

    def is_linear(self) -> bool:
        """Returns whether every output is linear in every draw it reads, taken one by one."""
        return all(NONLINEAR not in self.kinds.get(output, {}).values() for output in self.outputs)

    def has_fixed_rows(self, by_example: frozenset[int], dtype: jnp.dtype) -> bool:
        """Returns whether the rows depend on no draw's value and are the same for all examples."""
        avals = self.program.avals
        moving = {v: jax.ShapeDtypeStruct(avals[v].shape, avals[v].dtype) for v in self.surroundings | set(self.draws)}
        fixed = {v: moving.pop(v) for v in self.surroundings - by_example}

        def are_fixed(draws: Sequence[int]) -> bool:
            def rows(fixed: dict[int, Array], moving: dict[int, Array]) -> dict[int, dict[int, Array]]:
                return self.rows({**fixed, **moving}, draws, dtype)

            return not any(jax.tree.leaves(outputs_that_depend(rows, (fixed, moving), (False, True))))

        # One draw's rows mostly tell already, where a loop of many steps would take long to write out for all draws.
        return all(are_fixed(draws) for draws in (self.draws[:1], self.draws[1:]) if draws)

    @cached_property
    def frontier(self) -> tuple[int, ...]:
        """The last values on the way that are linear in every draw they read: what comes after them is not.

        Empty where the draws themselves are among them, so that nothing would be gained.
        """
        inside = {output for equation in self.equations for output in equation.outputs}
        linear = {v for v in inside if self.kinds.get(v) and NONLINEAR not in self.kinds[v].values()}
        linear |= set(self.draws)
        after: list[Equation] = [e for e in self.equations if not set(e.outputs) <= linear]
        found = {v for equation in after for v in equation.inputs if v in linear}
        found |= {output for output in self.outputs if output in linear}
        # A value that follows from others found element by element is computed from them.
        for equation in reversed(self.equations):
            if set(equation.outputs) & found and equation.name not in ("dot_general", "conv_general_dilated"):
                sources = {v for v in equation.inputs if self.kinds.get(v)}
                if sources and sources <= found - set(equation.outputs) and not sources & set(self.draws):
                    found -= set(equation.outputs)
        return () if found & set(self.draws) else tuple(sorted(found))

    def cut(self, by_example: frozenset[int], dtype: jnp.dtype) -> tuple["Part", "Part"] | None:
        """Returns the part up to where everything is linear, and the part after it.

        None where nothing comes before it, or its rows depend on a draw or differ by example; where it masks, or whole
        numbers are too large for floats; or, as what `rows` add up to is an ulp beside what the program computes, where
        an ulp matters: what is added up is counted, or, of numbers alone, compared, or, where nothing much is saved,
        compared or given to a function that is steep or none somewhere.
        """
        if not self.frontier:
            return None
        first = Part(self.program, self.kinds, self.frontier)
        if first.masks(dtype) or not first.is_of_exact_floats():
            return None
        if set(first.draws) != set(self.draws) or not first.has_fixed_rows(by_example, dtype):
            return None
        rest = Part(self.program, self.kinds, self.outputs, given=self.frontier)
        rest.draws = ()
        few = self.is_small() or self._other_values * first.operations <= _OPERATIONS
        if rest.counts() or ((few or first.is_of_numbers()) and rest.jumps()) or (few and rest.is_steep()):
            return None
        return first, rest

    def masks(self, dtype: jnp.dtype) -> bool:
        """Returns whether a draw brings, or takes away, a number beside which others are lost: `-1e9`, infinity.

        What one unit adds is then no difference of two results. An infinity that nothing but sums is made of is left
        to `finite` where there are many units, since all evaluations would be dear; so is one of an argument.
        """
        few = self.is_small()
        brought, scaled = self._largest_brought
        if np.isinf(brought):
            return few or scaled
        made = (self.program.avals[v].dtype for equation in self.equations for v in equation.outputs)
        digits = max(2, min(dtype.itemsize, *(d.itemsize for d in made if jnp.issubdtype(d, jnp.floating)), 8))
        return brought >= LARGE[digits] or (few and self.may_be_infinite)

    def is_small(self) -> bool:
        """Returns whether all other values of the units that it reads are few enough to be evaluated at no price."""
        return self._other_values <= _FEW

    def is_cheap_at_once(self) -> bool:
        """Returns whether all other values of the units it reads are to be evaluated side by side, whichever draw's.

        What reads some of the draws is then evaluated for the others too; in return less is traced and compiled.
        """
        several = len(self.draws) >= _SEVERAL
        return several and self.is_small() and self._other_values * self.operations <= MOST_OPERATIONS

    @property
    def _other_values(self) -> int:
        draws = self.program.draws
        return sum(draws[draw].units * (draws[draw].categories - 1) for draw in self.draws)

    @property
    def operations(self) -> int:
        """About how many numbers it adds up or multiplies when it is evaluated once."""
        return sum(self.steps.values())

    @property
    def steps(self) -> dict[Hashable, int]:
        """Of every equation, how many operations it takes, under a name that other parts of the program have for it."""
        steps = dict[Hashable, int]()
        for equation in self.equations:
            sizes = [math.prod(self.program.avals[value].shape) for value in (*equation.inputs, *equation.outputs)]
            product = equation.name in primitives.BILINEAR and equation.name != "mul"
            # The sizes are of m k, k n and m n numbers, with b in front.
            added = math.isqrt(math.prod(sizes)) if product else 0
            steps[id(self.program), equation.outputs[0]] = max(sizes) + added
        return steps

    @cached_property
    def _largest_brought(self) -> tuple[float, bool]:
        """The largest number of the text that a draw decides about, and whether anything is scaled after such a one."""
        largest, scaled, brought = 0.0, False, set[int]()
        for equation in self.equations:
            reads = [bool(self.kinds.get(value)) for value in equation.inputs]
            scaled |= equation.name in ("mul", "div") and not brought.isdisjoint(equation.inputs)
            here = largest_brought(self.program, equation, reads)
            if np.isinf(here) or not brought.isdisjoint(equation.inputs):
                brought.update(equation.outputs)
            largest = max(largest, here)
        values = [abs(v) for draw in self.draws for v in self.program.draws[draw].values or ()]
        return max(largest, *values, 0.0), scaled

    def is_of_exact_floats(self) -> bool:
        """Returns whether floats of 32 bits can stand for all whole numbers among its outputs."""
        whole = [o for o in self.outputs if jnp.issubdtype(self.program.avals[o].dtype, jnp.integer)]
        return are_exact_floats(self.program, whole)

    @cached_property
    def may_be_infinite(self) -> bool:
        """Whether a value of a draw may make an infinite number where another does not: a mask, the log of a gate."""
        return self.may_look_infinity_up or any(map(self._may_make_infinite, self.equations))

    @cached_property
    def may_look_infinity_up(self) -> bool:
        """Whether a draw chooses from a table whose numbers are not known, and may be masks: `table[z]`."""
        return any(map(self._may_look_infinity_up, self.equations))

    def _may_look_infinity_up(self, equation: Equation) -> bool:
        if equation.name not in ("gather", "dynamic_slice") or not any(map(self.kinds.get, equation.inputs[1:])):
            return False
        table = equation.inputs[0]
        is_float = jnp.issubdtype(self.program.avals[table].dtype, jnp.floating)
        return is_float and bool(np.any(np.isinf(self.program.known.get(table, np.inf))))

    def _may_make_infinite(self, equation: Equation) -> bool:
        program, reads = self.program, [bool(self.kinds.get(value)) for value in equation.inputs]
        if equation.name == "select_n":
            floats = [v for v in equation.inputs[1:] if jnp.issubdtype(program.avals[v].dtype, jnp.floating)]
            # What is not known may be infinite, as may be what an argument brings.
            return reads[0] and any(np.any(np.isinf(program.known.get(v, np.inf))) for v in floats)
        if equation.name == "div":
            return reads[1]
        return any(reads) and not primitives.POLES.isdisjoint(equation.names())

    def is_of_numbers(self) -> bool:
        """Returns whether the part reads nothing beside draws but numbers of the program's text.

        Its values are then few and far between: a share of votes is one half, and not an ulp less.
        """
        return self.surroundings <= set(self.program.constants)

    def jumps(self) -> bool:
        """Returns whether an ulp may make another result."""
        return any(equation.jumps(self.used) for equation in self.equations)

    def is_steep(self) -> bool:
        """Returns whether an ulp may change a result by much, or make it none: a quotient, a logarithm of next to 0."""
        return any(not (primitives.EDGED | primitives.POLES).isdisjoint(e.names()) for e in self.equations)

    def counts(self) -> bool:
        """Returns whether floats are told apart that are an ulp apart: the most votes, a tie."""
        return any(each.counts for equation in self.equations for each in equation.applied(self.used))

    @cached_property
    def used(self) -> set[int]:
        """The values that are read, or returned."""
        return {*self.outputs, *(value for equation in self.equations for value in equation.inputs)}


def state_of_features(draw: Draw, features: Float[Array, " features"]) -> Array:
    """Returns the state of a draw's units, given what a child sees of them."""
    if draw.values is None:
        return features.reshape(draw.units, draw.categories)
    low, high = draw.values
    if (low, high) == (0.0, 1.0):
        return features
    return (features - jnp.asarray(low, features.dtype)) / jnp.asarray(high - low, features.dtype)


def flat(part: Part, values: Mapping[int, Array]) -> Float[Array, " size"]:
    """Returns a part's outputs side by side."""
    return jnp.concatenate([values[output].reshape(-1) for output in part.outputs])


def unflat(part: Part, vector: Float[Array, " size"]) -> dict[int, Array]:
    """Returns a part's outputs, given what `flat` has made of them."""
    shapes = [part.program.avals[output].shape for output in part.outputs]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    pieces = jnp.split(vector, ends[:-1])
    return {o: piece.reshape(shape) for o, piece, shape in zip(part.outputs, pieces, shapes, strict=True)}


def flat_rows(
    part: Part, surroundings: Surroundings, features: Mapping[int, int], dtype: jnp.dtype
) -> dict[int, Float[Array, "features size"]]:
    """Returns the rows of a part's outputs for some draws, side by side; for a part that `has_fixed_rows`.

    Args:
        part: the part.
        surroundings: what it reads, and more.
        features: the draws, and how many features each has.
        dtype: of the rows.
    """
    avals, by_example = part.program.avals, surroundings.by_example
    given = {v: a for v, a in surroundings.arrays.items() if v in part.surroundings and v not in by_example}
    missing = {*part.surroundings, *part.draws} - set(given)
    stand_ins = {value: jnp.zeros(avals[value].shape, avals[value].dtype) for value in missing}
    by_draw = part.rows({**given, **stand_ins}, features, dtype)
    found = {}
    for draw, count in features.items():
        rows, shapes = by_draw[draw], [(count, math.prod(avals[output].shape)) for output in part.outputs]
        columns = [
            rows[output].reshape(shape) if output in rows else jnp.zeros(shape, dtype)
            for output, shape in zip(part.outputs, shapes, strict=True)
        ]
        found[draw] = columns[0] if len(columns) == 1 else jnp.concatenate(columns, axis=-1)
    return found
