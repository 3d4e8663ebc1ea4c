"""A program's terms as components of an objective."""

from collections.abc import Mapping
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.conditionals import Dense
from hnca.messages import (
    Changes,
    changes_by_enumeration,
    changes_by_rows,
    contrast_of_all,
    entropy_contrast_of,
    likelihood_contrast,
)
from hnca.network import Network, Trace
from hnca.objectives import Component
from hnca.programs.equations import Program
from hnca.programs.parts import Part, flat, flat_rows, unflat
from hnca.programs.polynomials import LOGISTIC, LOGSUMEXP, SOFTPLUS, VALUE, Atom
from hnca.programs.splitting import Term, is_linear_in
from hnca.programs.surroundings import Surroundings
from hnca.units import Bernoulli, Categorical, Layer

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
        return self._over_batch(trace.batch_shape, _states(self.part.program, network, trace.values, self.part.draws))

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        if self.is_reevaluated(network, layer):
            return contrast_of_all(self.changes(network, trace, layer), network, trace, layer)
        program, draw = self.part.program, self._draw(layer)
        state = _states(program, network, trace.values, (draw,))[draw]
        # Where an element reads units of several draws, only one of them can be soft.
        others = _taken(program, trace, tuple(d for d in self.part.draws if d != draw))

        def slope(arrays: Mapping[int, Array], state: Array, others: dict[int, Array]) -> Array:
            return jax.grad(lambda moving: self._example({**arrays, **others}, {draw: moving}))(state)

        found = self.surroundings.over_batch(slope, trace.batch_shape, state, others)
        above = network.layers[layer]
        return found if isinstance(above, Bernoulli) else above.contrast(found, trace[layer])

    def is_reevaluated(self, network: Network, layer: str) -> bool:
        return not is_linear_in(self.term, self.part.kinds, self._draw(layer))

    def changes(self, network: Network, trace: Trace, layer: str) -> Changes:
        """Returns the changes, found by evaluating anew what is not linear."""
        program, draws = self.part.program, self.part.draws
        if self.first is None or self.rest is None:
            return changes_by_enumeration(
                lambda values: self._over_batch(trace.batch_shape, _states(program, network, values, draws)),
                trace,
                layer,
            )
        first, rest = self.first, self.rest

        def hidden(values: Array) -> Float[Array, "*batch hidden"]:
            return self.surroundings.over_batch(
                lambda arrays, states: flat(first, first.states(states, arrays)),
                trace.batch_shape,
                _states(program, network, {**trace.values, layer: values}, draws),
            )

        def of_example(arrays: Mapping[int, Array], hidden: Array) -> Float[Array, ""]:
            return self._sum_of(arrays, rest.states({}, {**arrays, **unflat(first, hidden)}))

        def after(hidden: Float[Array, "*batch hidden"]) -> Float[Array, "*batch"]:
            return self.surroundings.over_batch(of_example, trace.batch_shape, hidden)

        features, dtype = network.layers[layer].features, jax.eval_shape(hidden, trace[layer]).dtype
        rows = flat_rows(first, self.surroundings, self._draw(layer), features, dtype)
        return changes_by_rows(hidden, after, rows, network, trace, layer)

    def _draw(self, layer: str) -> int:
        return next(d for d in self.part.draws if self.part.program.draws[d].name == layer)

    def _over_batch(self, batch_shape: tuple[int, ...], states: dict[int, Array]) -> Float[Array, "*batch"]:
        return self.surroundings.over_batch(self._example, batch_shape, states)

    def _example(self, arrays: Mapping[int, Array], states: dict[int, Array]) -> Float[Array, ""]:
        return self._sum_of(arrays, self.part.states(states, arrays))

    def _sum_of(self, arrays: Mapping[int, Array], values: Mapping[int, Array]) -> Float[Array, ""]:
        product = arrays[WEIGHT]
        for atom in self.term.atoms:
            product = product * evaluated(atom, values, self.term.shape).astype(product.dtype)
        return jnp.sum(product)

    def __str__(self) -> str:
        return f"{described(self.term)}({', '.join(self.arguments)})"


class LikelihoodComponent(Component):
    """`a * sum softplus(x) + b * sum x sigmoid(x)`, or `a * logsumexp(x)`, where `x` is affine in the draws it reads.

    What the log-likelihood or the entropy of a Bernoulli or categorical layer holds beside what is linear. Its
    contrasts are messages of that layer.

    Attributes:
        layer: whose logits are `x`.
        weight: `a`: `[*batch]`, or a number where it is known beforehand.
        energy: `b`.
        arguments: the names of the draws.
        counterfactual: True.
        repeatable: True.
        draw: the draw whose logits `x` are; None for no draw's.
        name: what it is called in tables.
    """

    layer: Layer
    weight: Float[Array, "*batch"] | float
    energy: float = eqx.field(static=True)
    arguments: tuple[str, ...] = eqx.field(static=True)
    draw: str | None = eqx.field(static=True)
    name: str = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(self, layer: Layer, weight: Float[Array, "*batch"] | float, energy: float, draw: str | None):
        """Args: see the class."""
        self.layer, self.weight, self.energy, self.draw = layer, weight, energy, draw
        self.name = "entropy" if energy else "log-normaliser"
        self.arguments = layer.conditional.parents
        self.counterfactual = self.repeatable = True

    @property
    def entropy_of(self) -> str | None:
        return self.draw if self._is_entropy else None

    @property
    def _is_entropy(self) -> bool:
        return bool(self.energy) and isinstance(self.weight, float) and self.weight == -self.energy

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        logits = self._logits(network, trace)
        weight = jnp.asarray(self.weight, logits.dtype)
        if isinstance(self.layer, Categorical):
            return weight * jnp.sum(jax.nn.logsumexp(logits, axis=-1), axis=-1)
        value = weight * jnp.sum(jax.nn.softplus(logits), axis=-1)
        if self.energy:
            value += jnp.asarray(self.energy, logits.dtype) * jnp.sum(logits * jax.nn.sigmoid(logits), axis=-1)
        return value

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        logits = self._logits(network, trace)
        if self._is_entropy:
            return self._entropies(logits, network, trace, layer)
        lowest = jnp.full(logits.shape[: len(trace.batch_shape) + 1], self.layer.alternative_values(logits.dtype)[0])
        # Of the lowest value the log-probability is -softplus(x), and x_0 - logsumexp(x).
        rest = -likelihood_contrast(self.layer, logits, lowest, network, trace, layer)
        if isinstance(self.layer, Categorical):
            rest = rest + self._contrast_of_first(network, trace, layer)
        weight = jnp.asarray(self.weight + self.energy, logits.dtype)
        total = weight.reshape(weight.shape + (1,) * (rest.ndim - weight.ndim) if weight.ndim else ()) * rest
        return total + self._entropies(logits, network, trace, layer) if self.energy else total

    def _entropies(self, logits: Array, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        """Returns what `x sigmoid(x)` and as much of softplus add: a multiple of the contrast of the entropy."""
        entropy = entropy_contrast_of(self.layer, logits, network, trace, layer)
        return jnp.asarray(-self.energy, logits.dtype) * entropy

    def _logits(self, network: Network, trace: Trace) -> Float[Array, "*logits"]:
        if self.draw is not None:
            return trace.logits[self.draw]
        features = tuple(network.features(trace.values, name) for name in self.layer.conditional.parents)
        return self.layer.logits(features, trace.batch_shape)

    def _contrast_of_first(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        """Returns the contrast of the sum of every child's first logit."""
        above, weight = network.layers[layer], cast(Dense, self.layer.conditional).weight(layer)
        first = jnp.sum(weight.reshape(weight.shape[0], self.layer.units, -1)[:, :, 0], axis=-1)
        shape = trace.batch_shape
        if isinstance(above, Bernoulli):
            return jnp.broadcast_to(first * jnp.asarray(above.span, first.dtype), (*shape, above.units))
        by_category = first.reshape(above.units, above.alternatives)
        return above.contrast(jnp.broadcast_to(by_category, (*shape, *by_category.shape)), trace[layer])

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.arguments)})"


def evaluated(atom: Atom, values: Mapping[int, Array], shape: tuple[int, ...]) -> Array:
    """Returns an atom for one example, in the shape of the term."""
    kind, number = atom
    value = values[number]
    if kind == LOGSUMEXP:
        value = jax.nn.logsumexp(value, axis=-1)
    if kind == SOFTPLUS:
        value = jax.nn.softplus(value)
    if kind == LOGISTIC:
        value = jax.nn.sigmoid(value)
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


def _states(
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


def _taken(program: Program, trace: Trace, draws: tuple[int, ...]) -> dict[int, Array]:
    """Returns what some draws have taken, in the program's shapes and dtypes, with the batch axes in front."""
    return {
        draw: trace[program.draws[draw].name]
        .reshape(*trace.batch_shape, *program.draws[draw].shape)
        .astype(program.avals[draw].dtype)
        for draw in draws
    }
