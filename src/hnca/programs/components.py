"""A program's terms as components of an objective."""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.messages import Changes, SmallSum, changes_by_enumeration, changes_by_rows, contrast_of_all
from hnca.network import Network, Trace
from hnca.objectives import Component
from hnca.objectives._base import listed
from hnca.programs.equations import Program
from hnca.programs.kinds import ByUnit
from hnca.programs.parts import Part, flat, flat_rows, unflat
from hnca.programs.polynomials import LOGISTIC, LOGSUMEXP, SOFTPLUS, VALUE, Atom
from hnca.programs.splitting import Term, is_linear_in, weighed
from hnca.programs.surroundings import Surroundings
from hnca.programs.taken import outputs_at, taken_by
from hnca.units import Bernoulli, Categorical

WEIGHT = -1
"""Under which a term's weight stands among its surroundings, beside values by their numbers."""


class TermComponent(Component):
    """`sum over elements of weight * product of atoms`, of the draws that the atoms read.

    Attributes:
        surroundings: the values the atoms read beside draws, and the weight, under `WEIGHT`.
        arguments: the names of the draws.
        counterfactual: whether its contrasts are worth their price; without them it is credited by the score.
        repeatable: True.
        term: see `splitting.Term`.
        part: from the draws to the atoms' values.
        first: from the draws to the values up to which everything is linear, with rows that are the same for all
            examples; None where there are none.
        rest: from there to the atoms' values.
    """

    surroundings: Surroundings
    arguments: tuple[str, ...] = eqx.field(static=True)
    term: Term = eqx.field(static=True)
    part: Part = eqx.field(static=True)
    first: Part | None = eqx.field(static=True)
    rest: Part | None = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(
        self,
        surroundings: Surroundings,
        arguments: tuple[str, ...],
        term: Term,
        part: Part,
        first: Part | None,
        rest: Part | None,
        counterfactual: bool,
    ):
        """Args: see the class."""
        self.surroundings, self.arguments, self.term = surroundings, arguments, term
        self.part, self.first, self.rest = part, first, rest
        self.counterfactual, self.repeatable = counterfactual, True

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        program, draws = self.part.program, self.part.draws
        # What has taken a category is not read from a table of all: that would be evaluated for each of them.
        hard = tuple(d for d in draws if jnp.issubdtype(trace[program.draws[d].name].dtype, jnp.integer))
        states = states_of(program, network, trace.values, tuple(d for d in draws if d not in hard))

        def of_example(arrays: Mapping[int, Array], states: dict[int, Array], taken: dict[int, Array]) -> Array:
            return self._example({**arrays, **taken}, states)

        return self.surroundings.over_batch(
            of_example, trace.batch_shape, states, taken_by(program, trace.values, trace.batch_shape, hard)
        )

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        if self.is_reevaluated(network, layer):
            return contrast_of_all(self.changes(network, trace, layer), network, trace, layer)
        program, draw = self.part.program, self._draw(layer)
        state = states_of(program, network, trace.values, (draw,))[draw]
        # Where an element reads units of several draws, only one of them can be soft.
        rest = tuple(d for d in self.part.draws if d != draw)
        others = taken_by(program, trace.values, trace.batch_shape, rest)

        def slope(arrays: Mapping[int, Array], state: Array, others: dict[int, Array]) -> Array:
            return jax.grad(lambda moving: self._example({**arrays, **others}, {draw: moving}))(state)

        found = self.surroundings.over_batch(slope, trace.batch_shape, state, others)
        above = network.layers[layer]
        return found if isinstance(above, Bernoulli) else above.contrast(found, trace[layer])

    def cofactor(self, network: Network, trace: Trace, value: int) -> Float[Array, "*batch size"]:
        """Returns what one of the atoms is multiplied with: the weight times the other atoms, element by element."""
        others = tuple(atom for atom in self.term.atoms if atom != (VALUE, value))
        part = Part(self.part.program, self.part.kinds, [number for _, number in others])

        def one(arrays: Mapping[int, Array], states: dict[int, Array]) -> Float[Array, " size"]:
            made = part.states(states, arrays)
            return self._product(arrays, others, made).reshape(-1)

        states = states_of(part.program, network, trace.values, part.draws)
        return self.surroundings.over_batch(one, trace.batch_shape, states)

    def is_reevaluated(self, network: Network, layer: str) -> bool:
        return not is_linear_in(self.term, self.part.kinds, self._draw(layer))

    def changes(self, network: Network, trace: Trace, layer: str) -> Changes:
        """Returns the changes, found by evaluating anew what is not linear."""
        program, draws = self.part.program, self.part.draws
        if self.first is None or self.rest is None:
            return changes_by_enumeration(
                lambda values: self._over_batch(trace.batch_shape, states_of(program, network, values, draws)),
                trace,
                layer,
            )
        first, rest = self.first, self.rest

        def hidden(values: Array) -> Float[Array, "*batch hidden"]:
            return self.surroundings.over_batch(
                lambda arrays, states: flat(first, first.states(states, arrays, infinite=False)),
                trace.batch_shape,
                states_of(program, network, {**trace.values, layer: values}, draws),
            ).astype(network.dtype)

        def of_example(arrays: Mapping[int, Array], hidden: Array) -> Float[Array, ""]:
            return self._sum_of(arrays, rest.states({}, {**arrays, **unflat(first, hidden)}))

        def after(hidden: Float[Array, "*batch hidden"]) -> Float[Array, "*batch"]:
            return self.surroundings.over_batch(of_example, trace.batch_shape, hidden)

        features = network.layers[layer].features
        draw = self._draw(layer)
        rows = flat_rows(first, self.surroundings, {draw: features}, network.dtype)[draw].astype(network.dtype)
        return changes_by_rows(hidden, after, rows, network, trace, layer)

    def at_once(self, network: Network, trace: Trace) -> SmallSum | None:
        if self.first is not None or not self.part.is_cheap_at_once():
            return None
        part, shape = self.part, trace.batch_shape

        def of_example(arrays: Mapping[int, Array], taken: Mapping[int, Array]) -> Float[Array, ""]:
            return self._sum_of(arrays, outputs_at(part, arrays, taken))

        def function(values: Mapping[str, Array]) -> Float[Array, "*batch"]:
            taken = taken_by(part.program, values, shape, part.draws)
            return self.surroundings.over_batch(of_example, shape, taken)

        parents = [name for name in self.arguments if self.is_reevaluated(network, name) or self._is_looked_up(name)]
        return SmallSum(function, tuple(parents), part.steps)

    def _is_looked_up(self, layer: str) -> bool:
        """Returns whether it is one number that reads one unit of the layer: differences of it are all there is."""
        kinds = [self.part.kinds[number].get(self._draw(layer)) for _, number in self.term.atoms]
        single = _size(self.term.shape) == 1 and not self.part.may_be_infinite
        return single and all(kind is None or isinstance(kind, ByUnit) for kind in kinds)

    def _draw(self, layer: str) -> int:
        return next(d for d in self.part.draws if self.part.program.draws[d].name == layer)

    def _over_batch(self, batch_shape: tuple[int, ...], states: dict[int, Array]) -> Float[Array, "*batch"]:
        return self.surroundings.over_batch(self._example, batch_shape, states)

    def _example(self, arrays: Mapping[int, Array], states: dict[int, Array]) -> Float[Array, ""]:
        return self._sum_of(arrays, self.part.states(states, arrays))

    def _sum_of(self, arrays: Mapping[int, Array], values: Mapping[int, Array]) -> Float[Array, ""]:
        return jnp.sum(self._product(arrays, self.term.atoms, values))

    def _product(self, arrays: Mapping[int, Array], atoms: Sequence[Atom], values: Mapping[int, Array]) -> Array:
        weight = jnp.broadcast_to(arrays[WEIGHT], self.term.shape)
        product = jnp.ones_like(weight)
        for atom in atoms:
            product = product * evaluated(atom, values, self.term.shape).astype(product.dtype)
        return weighed(weight, product)

    def __str__(self) -> str:
        return f"{described(self.term)}({listed(self.arguments)})"


class ObservedComponent(Component):
    """What cannot be asked what it would have been otherwise: known at the sample alone.

    Attributes:
        observed: its value, `[*batch]`.
        arguments: the names of the draws that it reads.
        counterfactual: False.
        repeatable: False.
    """

    observed: Float[Array, "*batch"]
    arguments: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(self, observed: Float[Array, "*batch"], arguments: tuple[str, ...]):
        """Args: see the class."""
        self.observed, self.arguments = observed, arguments
        self.counterfactual = self.repeatable = False

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        return jnp.broadcast_to(self.observed, trace.batch_shape)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        raise ValueError("hnca.observed: what is observed has no counterfactual, so no contrast.")

    def __str__(self) -> str:
        return f"observed({listed(self.arguments)})"


def evaluated(atom: Atom, values: Mapping[int, Array], shape: tuple[int, ...]) -> Array:
    """Returns an atom for one example, in the shape of the term."""
    kind, number = atom
    value = values[number]
    if kind == LOGSUMEXP:
        value = jax.nn.logsumexp(value, axis=-1, keepdims=value.ndim <= len(shape))
    if kind == SOFTPLUS:
        value = jax.nn.softplus(value)
    if kind == LOGISTIC:
        value = jax.nn.sigmoid(value)
    # An axis of 1 at its end was kept for a sum, and is not the term's.
    value = value.reshape(value.shape[: len(shape)]) if value.ndim > len(shape) and value.size else value
    return value.reshape(shape) if value.size == _size(shape) else jnp.broadcast_to(value, shape)


def described(term: Term) -> str:
    """Returns a short name of a term for tables."""
    kinds = [kind for kind, _ in term.atoms if kind != VALUE]
    if not kinds:
        return "product" if len(term.atoms) > 1 else "term"
    return "*".join(kinds)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for axis in shape:
        size *= axis
    return size


def states_of(
    program: Program, network: Network, values: Mapping[str, Array], draws: tuple[int, ...]
) -> dict[int, Array]:
    """Returns the states of some draws' units, `[*batch, units]` or `[*batch, units, categories]`."""
    states = {}
    for draw in draws:
        name = program.draws[draw].name
        layer = network.layers[name]
        if isinstance(layer, Categorical):
            states[draw] = layer.point(values[name], network.dtype)
        elif isinstance(layer, Bernoulli):
            states[draw] = layer.state(values[name]).astype(network.dtype)
    return states
