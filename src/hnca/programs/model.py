"""A program's network, objective and trace, once its forward pass has run."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.network import Network, Trace
from hnca.objectives import Component, Objective
from hnca.programs.components import WEIGHT, ObservedComponent, TermComponent, evaluated
from hnca.programs.dependence import outputs_that_depend
from hnca.programs.draws import draw_p
from hnca.programs.equations import Draw, Program, read
from hnca.programs.likelihood_component import LikelihoodComponent
from hnca.programs.lowering import conditional_of
from hnca.programs.parts import Part
from hnca.programs.plan import MAXIMUM_EVALUATIONS, Plan
from hnca.programs.soft import finite
from hnca.programs.splitting import Term, as_array
from hnca.programs.surroundings import Surroundings
from hnca.units import Bernoulli, Categorical, Conditional, Layer


class Pass(NamedTuple):
    """What one pass of the program leaves behind, with a leading batch axis where it differs by example.

    Attributes:
        outputs: the program's results.
        logits: of every draw, by output.
        values: of every draw, in the program's shape.
        saved: what layers and components read.
        weights: of the terms, by their place; None where they are numbers.
    """

    outputs: list[Array]
    logits: dict[int, Array]
    values: dict[int, Array]
    saved: dict[int, Array]
    weights: dict[int, Array]


def run_pass(
    plan: Plan, arguments: Sequence[Array], mapped: Sequence[bool], given: Mapping[int, Array] | None = None
) -> tuple[Pass, Pass]:
    """Runs the program on a batch.

    Args:
        plan: of the program.
        arguments: the flat arguments.
        mapped: which of them have a batch axis, the first.
        given: values the draws are to take, `[*batch, *shape]`; None to draw them.

    Returns:
        The pass, and marks of what in it differs by example.
    """

    def one(arguments: Sequence[Array], given: Mapping[int, Array] | None) -> Pass:
        return _one_example(plan, arguments, given)

    shapes = [_unbatched(a, m) for a, m in zip(arguments, mapped, strict=True)]
    if not plan.batch_axes:
        return one(arguments, given), _marks(jax.eval_shape(one, shapes, given), False)
    whole = None if given is None else {d: _unbatched(v, True) for d, v in given.items()}
    in_front = (
        [s for s, m in zip(shapes, mapped, strict=True) if m],
        [s for s, m in zip(shapes, mapped, strict=True) if not m],
    )

    def sorted_out(moving: tuple[list[Array], Mapping[int, Array] | None], fixed: list[Array]) -> Pass:
        takes, stays = iter(moving[0]), iter(fixed)
        return one([next(takes) if m else next(stays) for m in mapped], moving[1])

    marks = outputs_that_depend(sorted_out, ((in_front[0], whole), in_front[1]), (True, False))
    axes = [0 if m else None for m in mapped]
    out_axes = jax.tree.map(lambda mark: 0 if mark else None, marks)
    if given is None:
        return jax.vmap(lambda a: one(a, None), in_axes=(axes,), out_axes=out_axes)(list(arguments)), marks
    return jax.vmap(one, in_axes=(axes, 0), out_axes=out_axes)(list(arguments), dict(given)), marks


def _unbatched(array: Array, mapped: bool) -> jax.ShapeDtypeStruct:
    shape = jnp.shape(array)
    return jax.ShapeDtypeStruct(shape[1:] if mapped else shape, jnp.asarray(array).dtype)


def _marks(tree: Pass, mark: bool) -> Pass:
    return jax.tree.map(lambda _: mark, tree)


def _one_example(plan: Plan, arguments: Sequence[Array], given: Mapping[int, Array] | None) -> Pass:
    """Runs the program on one example; gradients are stopped at what is drawn."""
    program = plan.program
    held: dict[int, Array] = {**program.constants, **dict(zip(program.inputs, arguments, strict=True))}
    logits, values = {}, {}
    for step in program.steps:
        if isinstance(step, Draw):
            logits[step.output] = _read(program, held, step.logits)
            drawn = given[step.output] if given is not None else _drawn(program, held, step)
            held[step.output] = values[step.output] = jax.lax.stop_gradient(drawn)
        else:
            inputs = [read(program, held, atom) for atom in step.inputs]
            held.update(zip(step.outputs, step.apply(inputs), strict=True))
    saved = {v: jax.lax.stop_gradient(_read(program, held, v)) for v in plan.saved}
    weights = {
        place: jax.lax.stop_gradient(as_array(term.weight, held, term.shape, plan.dtype))
        for place, term in enumerate(plan.terms)
        if not isinstance(term.weight, float)
    }
    outputs = [read(program, held, atom) for atom in program.outputs]
    return Pass([jnp.asarray(output) for output in outputs], logits, values, saved, weights)


def _read(program: Program, held: Mapping[int, Array], value: int) -> Array:
    return jnp.asarray(read(program, held, value))


def _drawn(program: Program, held: Mapping[int, Array], draw: Draw) -> Array:
    if draw.given is not None:
        return _read(program, held, draw.given)
    # The primitive, whose rule for a batch draws for all examples at once.
    logits = jax.lax.stop_gradient(_read(program, held, draw.logits))
    return draw_p.bind(held[draw.key], logits, values=draw.values, name=draw.name, shared=False)


def layer_values(plan: Plan, draw: int, values: Array, batch_shape: tuple[int, ...]) -> Array:
    """Returns a draw's values as a layer's, `[*batch, units]`."""
    return jnp.reshape(values, (*batch_shape, plan.program.draws[draw].units))


def layer_logits(plan: Plan, draw: int, logits: Array, batched: Any, batch_shape: tuple[int, ...]) -> Array:
    """Returns a draw's logits as a layer's, `[*batch, units]` or `[*batch, units, categories]`."""
    drawn = plan.program.draws[draw]
    shape = (drawn.units,) if drawn.values is not None else (drawn.units, drawn.categories)
    reshaped = jnp.reshape(logits, (*(batch_shape if batched else ()), *shape))
    return finite(jnp.broadcast_to(reshaped, (*batch_shape, *shape)).astype(plan.dtype))


class ProgramObjective(Objective):
    """A program's components; what reads no draw is not among them.

    Attributes:
        components: the terms.
        weighs: whether the program says that its result is a log weight.
    """

    weighs: bool = eqx.field(static=True)

    def __init__(self, components: Sequence[Component], weighs: bool):
        super().__init__(*components)
        self.weighs = weighs

    def is_log_weight(self, network: Network) -> bool:
        """Returns whether the program's result is `hnca.log_weight`."""
        return self.weighs

    def subtracts_log_q(self, network: Network) -> bool:
        """Returns True: `hnca.log_weight` subtracts the log-probability of every draw."""
        return True


class Model(NamedTuple):
    """What an estimator takes."""

    network: Network
    objective: Objective
    trace: Trace


def model_of(
    plan: Plan,
    run: Pass,
    marks: Pass,
    arguments: Sequence[Array],
    mapped: Sequence[bool],
    batch_shape: tuple[int, ...],
    most: int | None = None,
) -> Model:
    """Returns the network, the objective and the trace that a pass of the program is.

    Args:
        plan: of the program.
        run: the pass.
        marks: which of its arrays differ by example.
        arguments: the flat arguments: those with a batch axis are the network's input, for baselines to read.
        mapped: which have one.
        batch_shape: `[batch]`, or nothing.
        most: how many counterfactuals the estimator evaluates; None for all, where that is not too dear.
    """
    program = plan.program
    by_example = frozenset(v for v, mark in marks.saved.items() if mark)
    saved = Surroundings(run.saved, by_example, plan.batch_axes)
    seen = _seen(arguments, mapped, plan.dtype)
    values: dict[str, Array] = {} if seen is None else {"example": seen}
    logits: dict[str, Array] = {}
    features: dict[str, Array] = {}
    layers: dict[str, Layer] = {}
    for output, lowering in plan.layers.items():
        draw = program.draws[output]
        affordable = plan.evaluations_of_messages(lowering, most) <= MAXIMUM_EVALUATIONS
        layer = _layer(draw, conditional_of(lowering, saved, features, batch_shape, affordable))
        layers[draw.name] = layer
        values[draw.name] = layer_values(plan, output, run.values[output], batch_shape)
        if draw.values is not None:
            values[draw.name] = values[draw.name].astype(plan.dtype)
        logits[draw.name] = layer_logits(plan, output, run.logits[output], marks.logits[output], batch_shape)
        features[draw.name] = layer.encode(values[draw.name], plan.dtype)
    network = Network(layers, inputs={} if seen is None else {"example": seen.shape[-1]})
    logits = jax.lax.stop_gradient(logits)
    components = _components(plan, run, marks, saved, features, batch_shape, most)
    objective = ProgramObjective(components, plan.is_log_weight)
    return Model(network, objective, Trace(values, logits, batch_shape))


def _layer(draw: Draw, conditional: Conditional) -> Layer:
    if draw.values is None:
        return Categorical(conditional, draw.categories)
    return Bernoulli(conditional, draw.values)


def _seen(arguments: Sequence[Array], mapped: Sequence[bool], dtype: jnp.dtype) -> Float[Array, "batch size"] | None:
    """Returns all numbers that differ by example side by side, for baselines that read the example."""
    numbers = [
        jnp.reshape(jax.lax.stop_gradient(a), (a.shape[0], -1)).astype(dtype)
        for a, m in zip(arguments, mapped, strict=True)
        if m and not jnp.issubdtype(a.dtype, jax.dtypes.prng_key) and a.dtype != jnp.uint32
    ]
    return jnp.concatenate(numbers, axis=-1) if numbers else None


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
        conditional = conditional_of(likelihood.lowering, saved, features, batch_shape)
        layer: Layer = Bernoulli(conditional)
        if likelihood.logsumexp is not None:
            layer = Categorical(conditional, program.avals[likelihood.value].shape[-1])
        term = likelihood.logsumexp or likelihood.softplus
        weight: Array | float = 0.0
        if term is not None:
            differs = bool(batch_shape) and bool(marks.weights.get(plan.terms.index(term)))
            array = _weight(plan, run, term).reshape(batch_shape if differs else ())
            weight = term.weight if isinstance(term.weight, float) else array
        draw = next((d.name for d in program.draws.values() if d.logits == likelihood.value), None)
        linear = tuple(_term(plan, run, marks, saved, t, plan.part_of(t), most) for t in likelihood.linear)
        found.append(LikelihoodComponent(layer, weight, likelihood.energy, draw, likelihood.value, linear))
    for term, part in plan.others:
        if term.observed:
            names = tuple(program.draws[draw].name for draw in term.reads)
            found.append(ObservedComponent(_observed(plan, run, marks, term, batch_shape), names))
        else:
            found.append(_term(plan, run, marks, saved, term, part, most))
    return found


def _term(
    plan: Plan, run: Pass, marks: Pass, saved: Surroundings, term: Term, part: Part, most: int | None
) -> TermComponent:
    names = tuple(plan.program.draws[draw].name for draw in term.reads)
    arrays: dict[int, Array] = {v: saved.arrays[v] for v in part.surroundings}
    by_example = frozenset(v for v in part.surroundings if v in saved.by_example)
    arrays[WEIGHT] = _weight(plan, run, term)
    by_example |= {WEIGHT} if marks.weights.get(plan.terms.index(term)) else set()
    first, rest = plan.cut_of(term, part)
    affordable = plan.evaluations(term, part, most) <= MAXIMUM_EVALUATIONS
    surroundings = Surroundings(arrays, by_example, plan.batch_axes)
    return TermComponent(surroundings, names, term, part, first, rest, affordable)


def _weight(plan: Plan, run: Pass, term: Term) -> Array:
    if isinstance(term.weight, float):
        return jnp.asarray(term.weight, plan.dtype)
    return run.weights[plan.terms.index(term)]


def _observed(plan: Plan, run: Pass, marks: Pass, term: Term, batch_shape: tuple[int, ...]) -> Float[Array, "*batch"]:
    weight, differs = _weight(plan, run, term), marks.weights.get(plan.terms.index(term))
    values = {v: run.saved[v] for _, v in term.atoms}
    by_example = frozenset(v for v in values if marks.saved[v])
    held = Surroundings({**values, WEIGHT: weight}, by_example | ({WEIGHT} if differs else set()), plan.batch_axes)

    def one(arrays: Mapping[int, Array]) -> Array:
        product = arrays[WEIGHT]
        for atom in term.atoms:
            product = product * evaluated(atom, arrays, term.shape).astype(product.dtype)
        return jnp.sum(product)

    return held.over_batch(one, batch_shape)
