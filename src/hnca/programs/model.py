"""A program's network, objective and trace, once its forward pass has run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.network import Network, Trace
from hnca.objectives import Component, Objective
from hnca.programs.components import WEIGHT, ObservedComponent, TermComponent, evaluated
from hnca.programs.equations import Draw
from hnca.programs.infinities import finite_logits
from hnca.programs.likelihood_component import LikelihoodComponent
from hnca.programs.lowering import DENSE, conditional_of
from hnca.programs.masks import is_masked, may_be_masked, without_masks
from hnca.programs.parts import Part
from hnca.programs.passes import Pass
from hnca.programs.plan import MAXIMUM_EVALUATIONS, Likelihood, Plan
from hnca.programs.splitting import Term, weighed
from hnca.programs.surroundings import Surroundings
from hnca.units import Bernoulli, Categorical, Conditional, Layer


def layer_values(plan: Plan, draw: int, values: Array, batched: Any, batch_shape: tuple[int, ...]) -> Array:
    """Returns a draw's values as a layer's, `[*batch, units]`; what all examples are given alike, for each of them."""
    units = plan.program.draws[draw].units
    return jnp.broadcast_to(jnp.reshape(values, (*(batch_shape if batched else ()), units)), (*batch_shape, units))


def layer_logits(plan: Plan, draw: int, logits: Array, batched: Any, batch_shape: tuple[int, ...]) -> Array:
    """Returns a draw's logits as a layer's, `[*batch, units]` or `[*batch, units, categories]`."""
    shaped = _in_shape_of_layer(plan, draw, logits, batched, batch_shape)
    return finite_logits(shaped.astype(plan.dtype), plan.program.draws[draw].row)


def _in_shape_of_layer(plan: Plan, draw: int, logits: Array, batched: Any, batch_shape: tuple[int, ...]) -> Array:
    drawn = plan.program.draws[draw]
    shape = (drawn.units,) if drawn.values is not None else (drawn.units, drawn.categories)
    reshaped = jnp.reshape(logits, (*(batch_shape if batched else ()), *shape))
    return jnp.broadcast_to(reshaped, (*batch_shape, *shape))


class ProgramObjective(Objective):
    """A program's components; what reads no draw is not among them.

    Attributes:
        components: the terms.
        weighs: whether the program says that its result is a log weight.
        from_prior: whether it says that all is drawn from the prior.
    """

    weighs: bool = eqx.field(static=True)
    from_prior: bool = eqx.field(static=True)

    def __init__(self, components: Sequence[Component], weighs: bool, from_prior: bool):
        super().__init__(*components)
        self.weighs, self.from_prior = weighs, from_prior

    def is_log_weight(self, network: Network) -> bool:
        """Returns whether the program's result is `hnca.log_weight`."""
        return self.weighs

    def subtracts_log_q(self, network: Network) -> bool:
        """Returns whether `hnca.log_weight` subtracts the log-probability of every draw."""
        return not self.from_prior


class Model(NamedTuple):
    """What an estimator takes."""

    network: Network
    objective: Objective
    trace: Trace


def model_of(
    plan: Plan,
    run: Pass,
    marks: Pass,
    example: Float[Array, "*batch size"] | None,
    batch_shape: tuple[int, ...],
    most: int | None = None,
) -> Model:
    """Returns the network, the objective and the trace that a pass of the program is.

    Args:
        plan: of the program.
        run: the pass.
        marks: which of its arrays differ by example.
        example: the network's input, for baselines to read (see `beforehand.seen`).
        batch_shape: `[batch]`, or nothing.
        most: how many counterfactuals the estimator evaluates; None for all, where that is not too dear.

    Raises:
        ValueError: if nothing that the function returns depends on a draw.
    """
    program = plan.program
    by_example = frozenset(v for v, mark in marks.saved.items() if mark)
    saved = Surroundings(run.saved, by_example, plan.batch_axes)
    values: dict[str, Array] = {} if example is None else {"example": example}
    logits: dict[str, Array] = {}
    features: dict[str, Array] = {}
    layers: dict[str, Layer] = {}
    for output, lowering in plan.layers.items():
        draw = program.draws[output]
        affordable = plan.evaluations_of_messages(lowering, most) <= MAXIMUM_EVALUATIONS
        around = without_masks(lowering.part, saved) if lowering.way == DENSE else saved
        layer = _layer(draw, conditional_of(lowering, around, features, batch_shape, plan.dtype, affordable))
        layers[draw.name] = layer
        values[draw.name] = layer_values(plan, output, run.values[output], marks.values[output], batch_shape)
        if draw.values is not None:
            values[draw.name] = values[draw.name].astype(plan.dtype)
        logits[draw.name] = layer_logits(plan, output, run.logits[output], marks.logits[output], batch_shape)
        if lowering.way == DENSE and may_be_masked(lowering.part):
            # What a draw masks has the logit here from which its children's messages take the mask away.
            parents = tuple(features[parent] for parent in layer.conditional.parents)
            # By the digits that the program has for it, not the network.
            masks = is_masked(run.logits[output])
            masked = _in_shape_of_layer(plan, output, masks, marks.logits[output], batch_shape)
            logits[draw.name] = jnp.where(masked, layer.logits(parents, batch_shape), logits[draw.name])
        features[draw.name] = layer.encode(values[draw.name], plan.dtype)
    network = Network(layers, inputs={} if example is None else {"example": example.shape[-1]})
    logits = jax.lax.stop_gradient(logits)
    components = _components(plan, run, marks, saved, features, batch_shape, most)
    if not components:
        raise depends_on_none(layers)
    marked = program.log_weight
    objective = ProgramObjective(components, plan.is_log_weight, marked is not None and marked.log_q is None)
    return Model(network, objective, Trace(values, logits, batch_shape))


def depends_on_none(draws: Iterable[str]) -> ValueError:
    """Returns the error of a function that draws in vain."""
    return ValueError(
        f"hnca: what the function returns depends on none of its draws, {', '.join(draws)}; a reward that was observed "
        "says on which it does: hnca.observed(reward + 0.0 * action)."
    )


def _layer(draw: Draw, conditional: Conditional) -> Layer:
    if draw.values is None:
        return Categorical(conditional, draw.categories)
    return Bernoulli(conditional, draw.values)


def _components(
    plan: Plan,
    run: Pass,
    marks: Pass,
    saved: Surroundings,
    features: Mapping[str, Array],
    batch_shape: tuple[int, ...],
    most: int | None,
) -> list[Component]:
    program = plan.program
    found: list[Component] = []
    for likelihood in plan.likelihoods:
        conditional = conditional_of(likelihood.lowering, saved, features, batch_shape, plan.dtype)
        layer: Layer = Bernoulli(conditional)
        if likelihood.logsumexp is not None:
            layer = Categorical(conditional, program.avals[likelihood.value].shape[-1])
        term = likelihood.logsumexp or likelihood.softplus
        weight: Array | float = 0.0
        if term is not None:
            differs = bool(batch_shape) and _differs(plan, marks, term)
            array = _weight(plan, run, term).reshape(batch_shape if differs else ())
            weight = term.weight if isinstance(term.weight, float) else array
        draw = next((d.name for d in program.draws.values() if _has_logits(d, likelihood)), None)
        linear = tuple(_term(plan, run, marks, saved, t, plan.part_of(t), most) for t in likelihood.linear)
        found.append(LikelihoodComponent(layer, weight, likelihood.energy, draw, likelihood.value, linear))
    for term, part in plan.others:
        if term.observed:
            names = tuple(program.draws[draw].name for draw in term.reads)
            found.append(ObservedComponent(_observed(plan, run, marks, term, batch_shape), names))
        else:
            found.append(_term(plan, run, marks, saved, term, part, most))
    return found


def _has_logits(draw: Draw, likelihood: Likelihood) -> bool:
    """Returns whether a likelihood is of the logits of a draw, and these are laid out as its layer's."""
    if draw.logits != likelihood.value:
        return False
    return draw.values is not None if likelihood.logsumexp is None else draw.values is None and draw.units == 1


def _term(
    plan: Plan, run: Pass, marks: Pass, saved: Surroundings, term: Term, part: Part, most: int | None
) -> TermComponent:
    names = tuple(plan.program.draws[draw].name for draw in term.reads)
    arrays: dict[int, Array] = {v: saved.arrays[v] for v in part.surroundings}
    by_example = frozenset(v for v in part.surroundings if v in saved.by_example)
    arrays[WEIGHT] = _weight(plan, run, term)
    by_example |= {WEIGHT} if _differs(plan, marks, term) else set()
    first, rest = plan.cut_of(term, part)
    affordable = plan.evaluations(term, part, most) <= MAXIMUM_EVALUATIONS
    surroundings = Surroundings(arrays, by_example, plan.batch_axes)
    return TermComponent(surroundings, names, term, part, first, rest, affordable)


def _differs(plan: Plan, marks: Pass, term: Term) -> bool:
    return bool(marks.weights.get(plan.terms.index(term), False))


def _weight(plan: Plan, run: Pass, term: Term) -> Array:
    if isinstance(term.weight, float):
        return jnp.asarray(term.weight, plan.dtype)
    return run.weights[plan.terms.index(term)]


def _observed(plan: Plan, run: Pass, marks: Pass, term: Term, batch_shape: tuple[int, ...]) -> Float[Array, "*batch"]:
    weight, differs = _weight(plan, run, term), _differs(plan, marks, term)
    values = {v: run.saved[v] for _, v in term.atoms}
    by_example = frozenset(v for v in values if marks.saved[v])
    held = Surroundings({**values, WEIGHT: weight}, by_example | ({WEIGHT} if differs else set()), plan.batch_axes)

    def one(arrays: Mapping[int, Array]) -> Array:
        product = arrays[WEIGHT]
        for atom in term.atoms:
            product = weighed(product, evaluated(atom, arrays, term.shape).astype(product.dtype))
        return jnp.sum(product)

    return held.over_batch(one, batch_shape)
