"""A program as a flat list of equations over numbered values, with what is known of each value beforehand."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun
from jax.typing import ArrayLike
from jaxtyping import Array

from hnca.programs import primitives
from hnca.programs.applied import Applied, applied_by


@dataclass(frozen=True)
class Equation:
    """One application of a JAX primitive.

    Attributes:
        name: of the primitive.
        inputs: the numbers of the values it reads; a literal has a number too, and is known.
        outputs: the numbers of the values it makes.
        original: the equation of the jaxpr it comes from, with its primitive and parameters.
        line: the user's source line, such as `model.py:12 (loss)`.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    original: Any
    line: str

    @property
    def params(self) -> dict[str, Any]:
        """The primitive's parameters."""
        return self.original.params

    def apply(self, values: Sequence[ArrayLike]) -> list[Array]:
        """Returns the results for one array an input (literals included); dtypes and shapes may be others."""
        primitive = self.original.primitive
        if self.name not in primitives.CALLS | primitives.OPAQUE_CALLS:
            results = primitive.bind(*values, **self.params)
            return list(results) if primitive.multiple_results else [results]
        call = self.original
        variables = list(dict.fromkeys(v for v in call.invars if not isinstance(v, Literal)))
        jaxpr = Jaxpr([], variables, call.outvars, [call], call.effects, self._debug_info())
        known = {
            v: jnp.asarray(value) for v, value in zip(call.invars, values, strict=True) if not isinstance(v, Literal)
        }
        return list(jaxpr_as_fun(ClosedJaxpr(jaxpr, []))(*(known[v] for v in variables)))

    def apply_to_numbers(self, values: Sequence[ArrayLike]) -> list[Array]:
        """As `apply`, of numbers known beforehand, which need no derivative: JAX computes no call with one then."""
        if self.name not in primitives.CALLS:
            # One that does nothing, such as stop_gradient, would hand numpy's on.
            return self.apply([jnp.asarray(value) for value in values])
        return list(jaxpr_as_fun(self.params[primitives.CUSTOM_DERIVATIVES[self.name]])(*values))

    def inner(self) -> Jaxpr:
        """Returns the jaxpr of a function with a derivative of its own."""
        return self.params[primitives.CUSTOM_DERIVATIVES[self.name]].jaxpr

    def _debug_info(self) -> Any:
        inner = self.inner() if self.name in primitives.CALLS else self.params["jaxpr"]
        return inner.debug_info

    def names(self) -> frozenset[str]:
        """Returns the names of the primitives it applies: those inside, for a function with a derivative of its own."""
        return frozenset(applied.name for applied in self.applied())

    def applied(self, used: Collection[int] | None = None) -> list[Applied]:
        """Returns the primitives it applies, itself and inside of what is called, chosen between or repeated.

        Args:
            used: numbers of values, among them those of its results that are used; None for all.
        """
        return applied_by(self.original, None if used is None else [output in used for output in self.outputs])

    def jumps(self, used: Collection[int] | None = None) -> bool:
        """Returns whether an ulp may make another result; arguments as for `applied`."""
        applied = self.applied(used)
        # Inside of a loop its counter is compared, too, which is no ulp off.
        return any(each.jumps and (each.reads_floats or len(applied) == 1) for each in applied)

    def filled_with(self, number: int) -> "Equation":
        """Returns the same with what is looked up outside of an array; of what is affine, with 0, the linear part."""
        if self.name != "gather" or self.params.get("fill_value", number) == number:
            return self
        return replace(self, original=self.original.replace(params={**self.params, "fill_value": number}))

    def apply_as_floats(self, values: Sequence[Array]) -> Array:
        """Returns the one result of an equation that is linear in its floats, also where the program has integers.

        A count is an integer to the program, and to its derivative a number like any other.
        """
        if self.name == "stop_gradient":
            return values[0]
        if self.name == "convert_element_type":
            dtype = self.params["new_dtype"]
            return values[0].astype(dtype) if jnp.issubdtype(dtype, jnp.inexact) else values[0]
        floats = [value.dtype for value in values if jnp.issubdtype(value.dtype, jnp.inexact)]
        keeps = {"gather", "dynamic_slice", "select_n"}
        first = 1 if self.name in keeps else len(values)
        places = range(1, len(values)) if self.name == "select_n" else range(first)
        with jax.numpy_dtype_promotion("standard"):  # the network may have another dtype than the program
            dtype = jnp.result_type(*floats)
        arguments = [v.astype(dtype) if i in places else v for i, v in enumerate(values)]
        params = dict(self.params)
        if not jnp.issubdtype(params.get("preferred_element_type") or dtype, jnp.inexact):
            params["preferred_element_type"] = dtype
        return self.original.primitive.bind(*arguments, **params)


@dataclass(frozen=True)
class Draw:
    """One draw of a program.

    Attributes:
        name: the user's, or its kind and number.
        key: the value that is its key.
        logits: the value that is its logits.
        output: the value it draws.
        values: of a Bernoulli unit; None for a categorical one.
        shape: of what it draws.
        categories: how many values a unit has.
        line: the user's source line.
        given: the value it takes, where that is known already; else None.
    """

    name: str
    key: int
    logits: int
    output: int
    values: tuple[float, ...] | None
    shape: tuple[int, ...]
    categories: int
    line: str
    given: int | None = None

    @property
    def row(self) -> int | None:
        """How many of its logits, one after another, are one unit's categories; None for Bernoulli units."""
        return self.categories if self.values is None else None

    @property
    def units(self) -> int:
        """How many units it draws."""
        return int(np.prod(self.shape, dtype=int))


class LogWeight(NamedTuple):
    """The log of an importance weight, as `hnca.log_weight` marks it; of each its number.

    Attributes:
        value: itself.
        log_p: the joint log-probability, or, of draws from the prior, the log-likelihood.
        log_q: the log-probability of the draws; None where they are from the prior.
    """

    value: int
    log_p: int
    log_q: int | None


class Unrolled(NamedTuple):
    """A scan that is written out.

    Attributes:
        line: the user's.
        steps: their number.
        draws: which of the program's draws stand in it: from the first to before the last.
    """

    line: str
    steps: int
    draws: tuple[int, int]


@dataclass
class Program:
    """A function of one example, written out.

    Attributes:
        avals: shape and dtype of every value.
        inputs: the arguments, flattened.
        constants: arrays the function closes over, by number.
        equations: in an order in which they can be computed; draws are not among them.
        draws: by the number of the value they draw, in order.
        outputs: the function's results, flattened.
        known: literals, and what follows from the text of the program alone (an iota), by number.
        producers: the equation that makes a value, by number.
        steps: equations and draws, in an order in which they can be computed.
        log_weight: what `hnca.log_weight` has marked; None where nothing is.
        entropies: what `hnca.entropy` is given: the logits' number, whether categorical, and the user's line.
        bounds: of its values, by number, once `magnitudes` has found them.
        unrolled: the scans that are written out step by step.
    """

    avals: list[jax.core.ShapedArray] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    constants: dict[int, Array] = field(default_factory=dict)
    equations: list[Equation] = field(default_factory=list)
    draws: dict[int, Draw] = field(default_factory=dict)
    outputs: list[int] = field(default_factory=list)
    known: dict[int, np.ndarray] = field(default_factory=dict)
    producers: dict[int, Equation] = field(default_factory=dict)
    steps: list["Equation | Draw"] = field(default_factory=list)
    log_weight: LogWeight | None = None
    entropies: list[tuple[int, bool, str]] = field(default_factory=list)
    bounds: dict[int, tuple[int | float, int | float]] | None = None
    unrolled: list["Unrolled"] = field(default_factory=list)

    def new_value(self, aval: jax.core.ShapedArray) -> int:
        """Returns the number of a new value."""
        self.avals.append(aval)
        return len(self.avals) - 1

    def add(self, equation: Equation) -> None:
        """Appends an equation."""
        self.equations.append(equation)
        self.steps.append(equation)
        for output in equation.outputs:
            self.producers[output] = equation

    def add_draw(self, draw: Draw) -> None:
        """Appends a draw."""
        self.draws[draw.output] = draw
        self.steps.append(draw)

    def categories_of(self, value: int) -> int | None:
        """Returns how many categories the draw has whose logits a value is; None for what is no categorical draw's."""
        return next((draw.row for draw in self.draws.values() if draw.logits == value), None)

    def new_known(self, value: np.ndarray) -> int:
        """Returns the number of a literal."""
        number = self.new_value(jax.core.ShapedArray(value.shape, value.dtype))
        self.known[number] = value
        return number


def needed(program: Program, outputs: Iterable[int], given: Iterable[int]) -> tuple[list[Equation], list[int]]:
    """Returns the equations between some values and others, and what these equations read and do not make.

    Args:
        program: whose equations.
        outputs: the values wanted.
        given: the values that are not to be computed.
    """
    known, equations = set(given), []
    wanted = set(outputs) - known
    for equation in reversed(program.equations):
        if not wanted.isdisjoint(equation.outputs):
            wanted |= set(equation.inputs) - known
            equations.append(equation)
    made = {output for equation in equations for output in equation.outputs}
    rest = sorted({value for equation in equations for value in equation.inputs} - made)
    return equations[::-1], rest


def run(program: Program, equations: Iterable[Equation], values: Mapping[int, Array]) -> dict[int, Array]:
    """Returns the values that were given and those that the equations make of them."""
    values = dict(values)
    for equation in equations:
        arguments = [read(program, values, atom) for atom in equation.inputs]
        values.update(zip(equation.outputs, equation.apply(arguments), strict=True))
    return values


def read(program: Program, values: Mapping[int, Array], number: int) -> Array:
    """Returns a value, given or known beforehand."""
    return values[number] if number in values else jnp.asarray(program.known[number])
