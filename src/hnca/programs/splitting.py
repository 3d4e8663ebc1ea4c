"""Takes a program's result apart into weighted terms: the components of the objective.

Backwards from the result, as backpropagation goes: what is linear hands its weight on to what it reads, and where that
ends stands a term, `sum of weight * product of atoms`. A value that is read in several places gets the sum of the
weights, so nothing is counted twice.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array

from hnca.programs import primitives
from hnca.programs.equations import Draw, Equation, Program, read
from hnca.programs.inside import observes
from hnca.programs.kinds import NONLINEAR, Kinds, is_linear
from hnca.programs.polynomials import LOGSUMEXP, VALUE, Atom, Monomial, Polynomials

Weigh = Callable[[Mapping[int, Array]], Array]
Weight = float | Weigh
"""What a value's elements are multiplied with: one number for all, or a function of the values that read no draw."""

_KEEPING = frozenset(
    [
        "reshape",
        "squeeze",
        "transpose",
        "rev",
        "reduce_sum",
        "expand_dims",
        "convert_element_type",
        "copy",
        "copy_p",
        "stop_gradient",
        "concatenate",
    ]
)


@dataclass(frozen=True)
class Term:
    """`sum over elements of weight * product of atoms`, for one example.

    Attributes:
        atoms: what is multiplied, in the polynomials' terms; each reads a draw.
        weight: of every element.
        shape: of the product of the atoms.
        reads: the draws it reads directly, by their outputs.
        observed: whether it cannot be asked for other values of its draws.
    """

    atoms: tuple[Atom, ...]
    weight: Weight
    shape: tuple[int, ...]
    reads: tuple[int, ...]
    observed: bool


def split(
    program: Program, kinds: Kinds, polynomials: Polynomials, result: int, weight: float, opaque: set[int]
) -> list[Term]:
    """Returns the terms of a scalar result that read draws; what reads none is left out.

    Args:
        program: the program.
        kinds: how its values answer to draws.
        polynomials: of its values.
        result: the value that is taken apart.
        weight: what it is multiplied with.
        opaque: the values that cannot be known for other values of the draws.
    """
    splitter = _Splitter(program, kinds, polynomials, opaque)
    splitter.give(result, weight)
    for step in reversed(program.steps):
        for output in (step.output,) if isinstance(step, Draw) else step.outputs:
            if output in splitter.weights:
                splitter.take(output)
    return [
        Term(atoms, _sum_of(weights), shape, splitter.reads(atoms), splitter.is_observed(atoms))
        for (atoms, shape), weights in splitter.terms.items()
    ]


class _Splitter:
    """The weights handed out so far, and the terms found."""

    def __init__(self, program: Program, kinds: Kinds, polynomials: Polynomials, opaque: set[int]):
        self.program, self.kinds, self.polynomials, self.opaque = program, kinds, polynomials, opaque
        self.weights: dict[int, list[Weight]] = {}
        self.terms: dict[tuple[Monomial, tuple[int, ...]], list[Weight]] = {}

    def give(self, value: int, weight: Weight) -> None:
        """Adds a weight to a value's."""
        if self.kinds.get(value):
            self.weights.setdefault(value, []).append(weight)

    def reads(self, atoms: Monomial) -> tuple[int, ...]:
        """Returns the draws that some atoms read."""
        return tuple(dict.fromkeys(draw for _, value in atoms for draw in self.kinds[value]))

    def is_observed(self, atoms: Monomial) -> bool:
        """Returns whether an atom is opaque."""
        return any(value in self.opaque for _, value in atoms)

    def take(self, value: int) -> None:
        """Hands a value's weight on, or makes a term of it."""
        weight = _sum_of(self.weights.pop(value))
        equation = self.program.producers.get(value)
        itself: Monomial = ((VALUE, value),)
        marked = equation is not None and observes(equation.original)
        whole = marked or self.polynomials.is_simple(value)
        polynomial = {itself: 1.0} if whole else self.polynomials.of(value)
        if set(polynomial) != {itself}:
            self._take_polynomial(value, polynomial, weight)
        elif equation is None or whole or not self._hand_on(equation, value, weight):
            self._add(itself, self.program.avals[value].shape, weight)

    def _take_polynomial(self, value: int, polynomial: Mapping[Monomial, float], weight: Weight) -> None:
        shape = self.program.avals[value].shape
        for monomial, coefficient in polynomial.items():
            dependent = tuple(atom for atom in monomial if self.kinds.get(atom[1]))
            factors = [atom[1] for atom in monomial if not self.kinds.get(atom[1])]
            shapes = [self._atom_shape(atom, shape) for atom in dependent]
            if not dependent:
                continue
            here = _product(weight, coefficient, factors, self.program, shape)
            own = jnp.broadcast_shapes(*shapes)
            here = _summed(here, shape, own)
            if len(dependent) == 1 and dependent[0][0] == VALUE and dependent[0][1] != value:
                self.give(dependent[0][1], _reshaped(here, self.program.avals[dependent[0][1]].shape))
            else:
                self._add(dependent, own, here)

    def _atom_shape(self, atom: Atom, within: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape in which an atom stands in a value of a shape.

        A log-sum has an axis less, or one of 1; so has what was subtracted before it.
        """
        shape = self.program.avals[atom[1]].shape
        shape = (*shape[:-1], 1) if atom[0] == LOGSUMEXP else shape
        return shape[: len(within)] if len(shape) > len(within) else shape

    def _hand_on(self, equation: Equation, value: int, weight: Weight) -> bool:
        """Hands a weight on through an equation that is linear in all it reads of draws."""
        dependent = [bool(self.kinds.get(a)) for a in equation.inputs]
        if len(equation.outputs) != 1 or not is_linear(self.program, equation, dependent):
            return False
        for place, marked in enumerate(dependent):
            if marked:
                self.give(equation.inputs[place], _transposed(self.program, equation, dependent, place, weight))
        return True

    def _add(self, atoms: Monomial, shape: tuple[int, ...], weight: Weight) -> None:
        self.terms.setdefault((atoms, shape), []).append(weight)


def as_array(weight: Weight, values: Mapping[int, Array], shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    """Returns a weight as an array of a shape."""
    array = jnp.asarray(weight, dtype) if isinstance(weight, float) else weight(values).astype(dtype)
    return jnp.broadcast_to(array, shape)


def _sum_of(weights: list[Weight]) -> Weight:
    if all(isinstance(weight, float) for weight in weights):
        return float(sum(weights))  # type: ignore[arg-type]
    if len(weights) == 1:
        return weights[0]

    def total(values: Mapping[int, Array]) -> Array:
        arrays = [w(values) for w in weights if not isinstance(w, float)]
        dtype = jnp.result_type(*arrays)
        parts = [array.astype(dtype) for array in arrays]
        parts += [jnp.asarray(w, dtype) for w in weights if isinstance(w, float)]
        shape = jnp.broadcast_shapes(*(part.shape for part in parts))
        parts = [jnp.broadcast_to(part, shape) for part in parts]
        return sum(parts[1:], parts[0])

    return total


def weighed(weight: Array, value: Array) -> Array:
    """Returns the product, which is 0 where the weight is, though the value be none: it has been selected away."""
    counts = weight != 0
    return weight * jnp.where(counts, value, jnp.ones_like(value))


def _product(
    weight: Weight, coefficient: float, factors: list[int], program: Program, shape: tuple[int, ...]
) -> Weight:
    """Returns a weight times a number and some values that read no draw, in a value's shape."""
    if isinstance(weight, float) and not factors:
        return weight * coefficient

    def product(values: Mapping[int, Array]) -> Array:
        arrays = [] if isinstance(weight, float) else [jnp.broadcast_to(weight(values), shape)]
        arrays += [jnp.broadcast_to(read(program, values, factor), shape) for factor in factors]
        total = arrays[0]
        for array in arrays[1:]:
            total = weighed(total, array.astype(total.dtype))
        number = coefficient * weight if isinstance(weight, float) else coefficient
        return total * jnp.asarray(number, total.dtype)

    return product


def _summed(weight: Weight, shape: tuple[int, ...], own: tuple[int, ...]) -> Weight:
    """Returns the weight of what was broadcast to a shape: the sum over the axes that it had not itself."""
    if shape == own:
        return weight
    if isinstance(weight, float):
        return weight * (math.prod(shape) / max(math.prod(own), 1))
    axes = tuple(range(len(shape) - len(own)))
    own_axes = tuple(
        axis for axis in range(len(shape)) if axis not in axes and own[axis - len(axes)] == 1 and shape[axis] != 1
    )
    return lambda values: jnp.sum(weight(values), axis=(*axes, *own_axes), keepdims=True).reshape(own)


def _reshaped(weight: Weight, shape: tuple[int, ...]) -> Weight:
    return weight if isinstance(weight, float) else lambda values: jnp.reshape(weight(values), shape)


def _transposed(program: Program, equation: Equation, dependent: list[bool], place: int, weight: Weight) -> Weight:
    """Returns the weight of one argument of a linear equation, given its result's."""
    aval, result = program.avals[equation.inputs[place]], program.avals[equation.outputs[0]]
    if isinstance(weight, float):
        if equation.name in _KEEPING:
            return weight
        if equation.name == "broadcast_in_dim":
            return weight * math.prod(result.shape) / max(math.prod(aval.shape), 1)
        if equation.name in ("add", "add_any") and aval.shape == result.shape:
            return weight
        if equation.name == "sub" and aval.shape == result.shape:
            return weight if place == 0 else -weight
    dtype = result.dtype if jnp.issubdtype(result.dtype, jnp.inexact) else jnp.result_type(float)

    if equation.name == "div":

        def divided(values: Mapping[int, Array]) -> Array:
            of_result = as_array(weight, values, result.shape, dtype)
            divisor = jnp.broadcast_to(read(program, values, equation.inputs[1]).astype(dtype), result.shape)
            quotient = of_result / jnp.where(of_result == 0, jnp.ones_like(divisor), divisor)
            return quotient if aval.shape == result.shape else jnp.sum(quotient)

        return divided

    def pulled_back(values: Mapping[int, Array]) -> Array:
        additive = equation.name in primitives.ADDITIVE
        arguments = [
            jnp.zeros(program.avals[a].shape, dtype) if additive or marked else read(program, values, a)
            for a, marked in zip(equation.inputs, dependent, strict=True)
        ]

        def linear(argument: Array) -> Array:
            return equation.apply_as_floats([*arguments[:place], argument, *arguments[place + 1 :]])

        _, pull = jax.vjp(linear, jnp.zeros(aval.shape, dtype))
        return pull(as_array(weight, values, result.shape, dtype))[0]

    return pulled_back


def is_linear_in(term: Term, kinds: Kinds, draw: int) -> bool:
    """Returns whether a term is linear in the units of one draw, all else fixed."""
    readers = [atom for atom in term.atoms if draw in kinds[atom[1]]]
    if len(readers) != 1:
        return False
    kind, value = readers[0]
    return kind == VALUE and kinds[value][draw] != NONLINEAR
