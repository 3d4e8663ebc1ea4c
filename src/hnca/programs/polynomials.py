"""Elementwise arithmetic as polynomials in a few atoms, so that a log-likelihood is found however it is written.

`x log sigmoid(a) + (1 - x) log sigmoid(-a)`, optax's cross-entropies, `logaddexp(0, a) - x a` all come to
`softplus(a) - x a` with a sign, whose contrasts have a closed form. Atoms are values of the program, and `softplus`,
`logistic` and `logsumexp` of values; coefficients of everything else cancel as numbers.
"""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from hnca.programs.equations import Equation, Program
from hnca.programs.kinds import NONLINEAR, Kinds

Atom = tuple[str, int]
"""What is done to a value, and the number of the value: `("value", 7)`, `("softplus", 7)`."""
Monomial = tuple[Atom, ...]
Polynomial = dict[Monomial, float]

VALUE, SOFTPLUS, LOGISTIC, LOGSUMEXP = "value", "softplus", "logistic", "logsumexp"
_MOST_TERMS = 12


class Polynomials:
    """The polynomial of every value of a program, made when asked for."""

    def __init__(self, program: Program, kinds: Kinds):
        self.program, self.kinds = program, kinds
        self._made: dict[int, Polynomial] = {}

    def of(self, value: int) -> Polynomial:
        """Returns what a value comes to; one that cannot be taken apart is an atom itself."""
        left = [value]
        while left:  # what it is made of comes first: a sum over many steps is deeper than Python can recurse
            one = left[-1]
            equation = self.program.producers.get(one)
            first = [] if equation is None or one in self._made else [i for i in equation.inputs if i not in self._made]
            if first:
                left += first
            else:
                self._made[left.pop()] = self._made.get(one) or self._make(one)
        return self._made[value]

    @cached_property
    def arguments(self) -> frozenset[int]:
        """The values of which there is a softplus or logistic: never taken apart themselves."""
        found = set()
        for equation in self.program.equations:
            if equation.name == "logistic" or _is_softplus(self.program, equation):
                found.add(self._signed(_nonzero(self.program, equation))[1])
        return frozenset(found)

    def _make(self, value: int) -> Polynomial:
        itself: Polynomial = {((VALUE, value),): 1.0}
        known = self.program.known.get(value)
        if known is not None and known.size and np.all(known == known.flat[0]):
            return {(): float(known.flat[0])}
        equation = self.program.producers.get(value)
        floating = jnp.issubdtype(self.program.avals[value].dtype, jnp.floating)
        if equation is None or not floating or value in self.arguments:
            return itself
        made = self._of_equation(equation)
        if made is None or len(made) > _MOST_TERMS or (self._is_linear(value) and self._squares(made)):
            return itself
        # Weights are products of values: what reads no draw is one, whatever function of another it is.
        if not self.kinds.get(value) and any(kind != VALUE for monomial in made for kind, _ in monomial):
            return itself
        return made

    def is_simple(self, value: int) -> bool:
        """Returns whether the value answers to one draw alone, and linearly."""
        return len(self.kinds.get(value, {})) == 1 and self._is_linear(value)

    def _is_linear(self, value: int) -> bool:
        return NONLINEAR not in self.kinds.get(value, {}).values()

    def _squares(self, made: Polynomial) -> bool:
        """Returns whether a product has two factors that read one draw: the linear value is better left whole."""
        reads = ([draw for _, v in monomial for draw in self.kinds.get(v, ())] for monomial in made)
        return any(len(set(draws)) < len(draws) for draws in reads)

    def _of_equation(self, equation: Equation) -> Polynomial | None:
        name = equation.name
        if name == "logistic":
            return self._logistic(equation.inputs[0])
        if _is_softplus(self.program, equation):
            sign, root = self._signed(_nonzero(self.program, equation))
            return self._softplus(sign, root)
        if name in ("log", "log1p"):
            return self._logarithm(equation)
        arguments = [self.of(operand) for operand in equation.inputs]
        if name in ("convert_element_type", "copy", "copy_p", "stop_gradient"):
            inexact = jnp.issubdtype(self.program.avals[equation.inputs[0]].dtype, jnp.floating)
            return arguments[0] if inexact else None
        if name in ("add", "add_any"):
            return plus(arguments[0], arguments[1])
        if name == "sub":
            return plus(arguments[0], scaled(arguments[1], -1.0))
        if name == "neg":
            return scaled(arguments[0], -1.0)
        if name == "mul":
            return self._product(*equation.inputs)
        if name == "div" and set(arguments[1]) == {()} and arguments[1][()]:
            return scaled(arguments[0], 1 / arguments[1][()])
        if name == "square" or (name == "integer_pow" and equation.params["y"] == 2):
            return self._product(equation.inputs[0], equation.inputs[0])
        return None

    def _product(self, left: int, right: int) -> Polynomial:
        """Returns a product. Of differences that read one draw it is not multiplied out, lest large numbers cancel."""
        product = times(self.of(left), self.of(right))
        if not self._squares(product) or any(kind != VALUE for monomial in product for kind, _ in monomial):
            return product
        return times(*(self.of(v) if len(self.of(v)) == 1 else Polynomial({((VALUE, v),): 1.0}) for v in (left, right)))

    def _signed(self, value: int) -> tuple[int, int]:
        """Returns the sign and the value that another is, up to sign."""
        equation, sign = self.program.producers.get(value), 1
        while equation is not None and equation.name in ("neg", "copy", "copy_p", "stop_gradient"):
            sign = -sign if equation.name == "neg" else sign
            value = equation.inputs[0]
            equation = self.program.producers.get(value)
        return sign, value

    def _logistic(self, operand: int) -> Polynomial:
        sign, root = self._signed(operand)
        atom: Polynomial = {((LOGISTIC, root),): 1.0}
        return atom if sign > 0 else plus({(): 1.0}, scaled(atom, -1.0))

    def _softplus(self, sign: int, root: int) -> Polynomial:
        """`softplus(-a) = softplus(a) - a`."""
        atom: Polynomial = {((SOFTPLUS, root),): 1.0}
        return atom if sign > 0 else plus(atom, scaled(self.of(root), -1.0))

    def _logarithm(self, equation: Equation) -> Polynomial | None:
        """Logs of probabilities: `log sigmoid(a) = a - softplus(a)`, `log(1 - sigmoid(a)) = -softplus(a)`."""
        inside = self.of(equation.inputs[0])
        inside = plus({(): 1.0}, inside) if equation.name == "log1p" else inside
        roots = {atom for monomial in inside for atom in monomial if atom[0] == LOGISTIC}
        if len(roots) == 1:
            (atom,) = roots
            if inside == {(atom,): 1.0}:
                return plus(self.of(atom[1]), {((SOFTPLUS, atom[1]),): -1.0})
            if inside == {(): 1.0, (atom,): -1.0}:
                return {((SOFTPLUS, atom[1]),): -1.0}
        return self._log_of_sum(equation.inputs[0]) if equation.name == "log" else None

    def _log_of_sum(self, operand: int) -> Polynomial | None:
        """`log sum exp(x - m) = logsumexp(x) - m`, over the last axis."""
        total = self._behind(operand, ("abs", "broadcast_in_dim", "reshape", "squeeze"))
        if total is None or total.name != "reduce_sum":
            return None
        own, whole = (self.program.avals[value].shape for value in (total.outputs[0], operand))
        if whole not in (own, (*own, 1)) or not self._keeps_size(operand, total):
            return None  # broadcast to more, or with other axes of 1
        exponential = self._behind(total.inputs[0], ())
        if exponential is None or exponential.name != "exp":
            return None
        difference = self._behind(exponential.inputs[0], ())
        summed = self.program.avals[total.inputs[0]]
        if tuple(total.params["axes"]) != (summed.ndim - 1,) or summed.shape[-1] < 2:
            return None
        if difference is None or difference.name != "sub":
            return None
        x, shift = difference.inputs
        if self.program.avals[x].shape != summed.shape or self.program.avals[shift].shape[-1:] not in ((1,), ()):
            return None
        behind = self._behind(shift, ())
        if whole == own and behind is not None and behind.name == "broadcast_in_dim":
            source = self.program.avals[behind.inputs[0]].shape
            kept = tuple(behind.params["broadcast_dimensions"]) == tuple(range(summed.ndim - 1))
            shift = behind.inputs[0] if kept and source == summed.shape[:-1] else shift
        return {((LOGSUMEXP, x),): 1.0, ((VALUE, self._unbroadcast(shift)),): -1.0}

    def _keeps_size(self, operand: int, total: Equation) -> bool:
        """Returns whether a value has, in their order, the elements of a sum and no more, and so has all on the way."""
        size = self.program.avals[total.outputs[0]].size
        while operand != total.outputs[0]:
            if self.program.avals[operand].size != size:
                return False
            operand = self.program.producers[operand].inputs[0]
        return True

    def _unbroadcast(self, value: int) -> int:
        """Returns the value without the steps that only stop its gradient or give it an axis of 1."""
        equation = self.program.producers.get(value)
        while equation is not None and equation.name in ("stop_gradient", "copy"):
            value = equation.inputs[0]
            equation = self.program.producers.get(value)
        return value

    def _behind(self, operand: int, through: Iterable[str]) -> Equation | None:
        """Returns the equation that makes a value, looked for through some kinds of equation."""
        equation = self.program.producers.get(operand)
        while equation is not None and equation.name in through:
            equation = self.program.producers.get(equation.inputs[0])
        return equation


def plus(a: Polynomial, b: Polynomial) -> Polynomial:
    """Returns the sum, without what cancels."""
    total = dict(a)
    for monomial, coefficient in b.items():
        total[monomial] = total.get(monomial, 0.0) + coefficient
    return {monomial: coefficient for monomial, coefficient in total.items() if coefficient}


def scaled(a: Polynomial, factor: float) -> Polynomial:
    """Returns the polynomial times a number."""
    return {monomial: factor * coefficient for monomial, coefficient in a.items()}


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    """Returns the product."""
    total: Polynomial = {}
    for left, x in a.items():
        for right, y in b.items():
            total = plus(total, {tuple(sorted((*left, *right))): x * y})
    return total


def _is_softplus(program: Program, equation: Equation) -> bool:
    """Returns whether an equation is `logaddexp` with a 0."""
    if equation.name != "custom_jvp_call" or len(equation.inputs) != 2:
        return False
    zeros = [known is not None and np.all(known == 0) for known in map(program.known.get, equation.inputs)]
    return _is_logaddexp(equation) and sum(zeros) == 1 and _nonzero_or_none(program, equation) is not None


def _is_logaddexp(equation: Equation) -> bool:
    """Returns whether it is JAX's own, by its name and the file it is of: a user's may do something else."""
    debug = getattr(equation.inner(), "debug_info", None)
    if debug is None or debug.func_name != "logaddexp":
        return False
    return Path(debug.func_filename or "").is_relative_to(Path(jax.__file__).parent)


def _nonzero_or_none(program: Program, equation: Equation) -> int | None:
    for operand in equation.inputs:
        known = program.known.get(operand)
        if known is None or np.any(known != 0):
            return operand
    return None


def _nonzero(program: Program, equation: Equation) -> int:
    operand = _nonzero_or_none(program, equation)
    assert operand is not None, equation
    return operand
