"""From a function with draws to the scalar whose derivative is the estimate of its expectation's gradient."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators import Estimator
from hnca.estimators._bound import BoundEstimator
from hnca.network import Trace
from hnca.programs.affordable import most_of, warn_of_long_loops
from hnca.programs.arguments import Flat, InAxes, check_value, flatten, is_key
from hnca.programs.beforehand import seen
from hnca.programs.equations import Program
from hnca.programs.foreign import traced_constants, warn_of_foreign_draws
from hnca.programs.log_weights import warn_of_log_weight
from hnca.programs.lost_changes import Watched
from hnca.programs.model import model_of
from hnca.programs.noise_of_passes import noise_of, warn_of_shared_noise
from hnca.programs.one_key_for_all import warn_of_one_key_for_all
from hnca.programs.passes import Pass, outputs_of_every_example, run_pass
from hnca.programs.passes_of_bounds import bound_of
from hnca.programs.plan import Plan
from hnca.programs.possible import all_can_be_taken, number_if
from hnca.programs.probabilities import warn_of_probabilities
from hnca.programs.scores_by_hand import warn_of_scores_by_hand
from hnca.programs.soft import with_derivative_of_its_kind
from hnca.programs.stopped import warn_of_stopped
from hnca.programs.surrogates import held, surrogate, with_gradient_scaled
from hnca.programs.tracing import trace_program

_NOT_KNOWN = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


class Credited(NamedTuple):
    """What a credited function returns beside its value.

    Attributes:
        aux: the function's second result, if it has one, of every example.
        state: of the estimator.
    """

    aux: PyTree
    state: PyTree


class Results(NamedTuple):
    """The structure of what a function returns: the value, and aux.

    Attributes:
        tree: of all leaves.
        fixed: what is no array, such as a text, in its place; None for arrays.
    """

    tree: Any
    fixed: list[Any]

    def unflatten(self, arrays: Iterable[Array]) -> Any:
        """Returns what the function returns, with these arrays."""
        left = iter(arrays)
        return self.tree.unflatten([next(left) if leaf is None else leaf for leaf in self.fixed])


class Compiled(NamedTuple):
    """A call, traced.

    Attributes:
        plan: what the function compiles to.
        flat: its arguments.
        structure: of its results.
    """

    plan: Plan
    flat: Flat
    structure: Results


def compile_call(
    owner: str,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    in_axes: InAxes,
    has_aux: bool,
) -> Compiled:
    """Returns a call of a function of one example, traced and planned; errors as for `hnca.value_and_grad`."""
    flat = flatten(owner, arguments, keywords, in_axes)
    examples = [shape_of(a, 1 if m else 0) for a, m in zip(flat.arrays, flat.mapped, strict=True)]
    program, structure = traced(owner, function, flat, examples, has_aux)
    mapped = [number for number, mark in zip(program.inputs, flat.mapped, strict=True) if mark]
    warn_of_slips(program, flat)
    return Compiled(Plan(program, mapped), flat, structure)


def warn_of_slips(program: Program, flat: Flat) -> None:
    """Warns of draws of `jax.random` that depend on what all examples share, so may be learned, and of other slips.

    These are probabilities that a draw takes for its logits, and gradients that are stopped behind draws.
    """
    warn_of_one_key_for_all(flat)
    warn_of_probabilities(program)
    warn_of_stopped(program)
    warn_of_scores_by_hand(program)
    shared = [
        number
        for number, mark in zip(program.inputs, flat.mapped, strict=True)
        if not mark and jnp.issubdtype(program.avals[number].dtype, jnp.floating)
    ]
    warn_of_foreign_draws(program, [*shared, *traced_constants(program)])


def shape_of(array: Array, start: int) -> jax.ShapeDtypeStruct:
    """Returns an array's shape, without the first `start` axes, and dtype."""
    return jax.ShapeDtypeStruct(array.shape[start:], array.dtype)


def traced(
    owner: str,
    function: Callable[..., Any],
    flat: Flat,
    examples: Sequence[jax.ShapeDtypeStruct],
    has_aux: bool,
    unroll: bool = True,
) -> tuple[Program, Results]:
    """Returns a function of flat arguments as a program, and the structure of its results."""
    structure: list[Results] = []

    def of_arrays(*arrays: Array) -> list[Any]:
        positional, named = flat.rebuild(arrays)
        watched = Watched((positional, named))
        result = function(*positional, **named)
        if has_aux and not (isinstance(result, tuple) and len(result) == 2):
            kind = "an array" if isinstance(result, Array) else f"a {type(result).__name__}"
            raise ValueError(
                f"{owner}: has_aux=True, but the function returned {kind}; expected a pair of the value and the aux."
            )
        check_value(owner, result[0] if has_aux else result)
        leaves, tree = jax.tree.flatten(result if has_aux else (result, ()))
        watched.require_nothing_lost(owner, leaves)
        structure[:] = [Results(tree, [None if eqx.is_array_like(leaf) else leaf for leaf in leaves])]
        return [leaf for leaf in leaves if eqx.is_array_like(leaf)]

    try:
        return trace_program(of_arrays, examples, unroll), structure[0]
    except Exception as error:
        if isinstance(error, _NOT_KNOWN) or _is_looked_up(error):
            error.add_note(
                f"hnca: in the function {owner}, what is drawn is not known while it is traced, nor are "
                "arrays among its arguments, as under jax.jit: choose by jnp.where or jax.lax.cond, not by `if`, look "
                "up by array[drawn], and leave numpy, float() and range() to what Python knows."
            )
        keys = next((e.shape for e in examples if is_key(e) and e.shape), None)
        if keys is not None:
            error.add_note(
                f"hnca: {owner} was given an array of keys of shape {keys}; if that is a key for every example, say "
                "in_axes, such as in_axes=(None, 0, 0): None for parameters, 0 for keys and data."
            )
        raise


def _is_looked_up(error: Exception) -> bool:
    """Returns whether an error is that of a dictionary which is asked for what is drawn, or of a set."""
    return isinstance(error, TypeError) and "unhashable" in str(error) and "Tracer" in str(error)


def credited_call(
    estimator: Estimator,
    compiled: Compiled,
    key: Key[Array, ""] | None,
    state: PyTree,
    given: Mapping[int, Array] | None = None,
) -> tuple[Float[Array, ""], Credited]:
    """Returns the mean of the function over the batch, whose derivative is the estimate, and what comes with it.

    Args:
        estimator: gives the credits.
        compiled: the call.
        key: for estimators that draw samples of their own.
        state: of the estimator; None begins with `init`.
        given: values the draws are to take, by output; None to draw them.
    """
    plan, flat = compiled.plan, compiled.flat
    warn_of_long_loops(plan)
    example = seen(plan.program, flat, plan.dtype)
    if isinstance(estimator, BoundEstimator) and _has_own_noise(estimator, plan.program) and given is None:
        value, after, passes = bound_of(estimator, plan, flat, example, key, state)
        run, marks, of_draws = passes.first, passes.marks, passes.everywhere
    else:
        run, marks = run_pass(plan, flat.arrays, flat.mapped, given)
        model = model_of(plan, held(run), marks, example, flat.batch_shape, most_of(estimator, plan))
        found = estimator.unscaled().attribute(model.network, model.objective, model.trace, key=key, state=state)
        credits, after = held((found.credits, found.state))
        of_draws = run
        if found.passes is None:
            value = surrogate(plan, run, marks, credits, flat.batch_shape, None)
        else:
            _require_whole_values(estimator, plan, found.trace)
            value = _over_passes(estimator, plan, flat, found.trace, credits, found.passes.weights)
        value = with_gradient_scaled(value, estimator.scale_of_all(state))
    value = number_if(all_can_be_taken(plan.program, of_draws.logits, of_draws.values), value, of_draws.logits.values())
    outputs = outputs_of_every_example(run, marks, flat.batch_shape)
    aux = compiled.structure.unflatten([value, *outputs[1:]])[1]
    return with_derivative_of_its_kind(value), Credited(held(aux), after)


def _has_own_noise(estimator: BoundEstimator, program: Program) -> bool:
    """Returns whether every pass of a bound can have noise of its own; of noise that cannot, and more, it warns."""
    noise = noise_of(program)
    warn_of_shared_noise(estimator, noise)
    warn_of_log_weight(estimator, program)
    return noise.can_differ


def _require_whole_values(estimator: Estimator, plan: Plan, trace: Trace) -> None:
    """Raises a ValueError for passes in which a categorical draw takes no category but a mixture of them."""
    for draw in plan.program.draws.values():
        if draw.values is None and jnp.issubdtype(trace[draw.name].dtype, jnp.floating):
            raise ValueError(
                f"{type(estimator).__name__}: evaluates the program at mixtures of categories, and draw {draw.name!r} "
                f"at {draw.line} is a whole number to it; use StraightThroughGumbelSoftmax, StraightThrough or HNCA."
            )


def _over_passes(
    estimator: Estimator,
    plan: Plan,
    flat: Flat,
    trace: Trace,
    credits: Mapping[str, Array],
    weights: Array,
) -> Float[Array, ""]:
    """Runs the program again with the values of every pass."""
    count, program = trace.batch_shape[0], plan.program
    given = {
        output: jnp.reshape(trace[draw.name], (count, *flat.batch_shape, *draw.shape)).astype(
            program.avals[output].dtype
        )
        for output, draw in program.draws.items()
    }
    marks: list[Pass] = []

    def one_pass(values: Mapping[int, Array]) -> Pass:
        run, found = run_pass(plan, flat.arrays, flat.mapped, values)
        marks[:] = [found]
        return jax.tree.map(lambda a, m: a if m else jnp.broadcast_to(a, (*flat.batch_shape, *a.shape)), run, found)

    runs = jax.vmap(one_pass)(given)
    everywhere = jax.tree.map(lambda _: True, marks[0])
    outputs = jax.lax.stop_gradient(runs.outputs[0])
    combined = estimator.combine(outputs, weights)
    return surrogate(plan, runs, everywhere, credits, trace.batch_shape, combined)
