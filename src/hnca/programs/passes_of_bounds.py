"""The passes of a bound, each with draws and noise of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators._base import OWN_KEYS
from hnca.estimators._bound import BoundEstimator, LogWeights
from hnca.estimators._requirements import require_key, require_state
from hnca.network import Network, Trace
from hnca.objectives import Objective
from hnca.programs.arguments import Flat, is_key
from hnca.programs.dependence import outputs_that_depend
from hnca.programs.model import Model, model_of
from hnca.programs.noise_of_passes import keys_of_passes
from hnca.programs.passes import Pass, run_pass
from hnca.programs.plan import Plan
from hnca.programs.surrogates import held, surrogate


class PassesOfBound:
    """Runs of a program that share its parameters and data: the first by the keys it is given, others by their own.

    Attributes:
        runs: all of them; what differs from pass to pass has an axis of passes in front of those of `marks`.
        marks: which of a run's arrays differ by example.
    """

    runs: Pass
    marks: Pass

    def __init__(self, plan: Plan, flat: Flat, pass_keys: Key[Array, " others"], example: Array | None):
        """Runs the program once a pass.

        Args:
            plan: of the program.
            flat: its arguments, typed keys among them.
            pass_keys: of the passes after the first.
            example: as for `model_of`.
        """
        self._plan, self._flat, self._example = plan, flat, example
        self._count = len(pass_keys) + 1
        marks: list[Pass] = []

        def one(keys: Sequence[Array], others: Sequence[Array]) -> Pass:
            own, rest = iter(keys), iter(others)
            arrays = [next(own) if is_key(array) else next(rest) for array in flat.arrays]
            run, found = run_pass(plan, arrays, flat.mapped)
            marks[:] = [found]
            return run

        keys = [array for array in flat.arrays if is_key(array)]
        others = [array for array in flat.arrays if not is_key(array)]
        shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), (keys, others))
        by_pass = outputs_that_depend(one, shapes, (True, False))
        self._axes = jax.tree.map(lambda mark: 0 if mark else None, by_pass)
        stacked = [keys_of_passes(pass_keys, array) for array in keys]
        self.runs = jax.vmap(one, in_axes=(0, None), out_axes=self._axes, axis_size=self._count)(stacked, others)
        self.marks = marks[0]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """`[passes, batch]`, or `[passes]` of one example."""
        return (self._count, *self._flat.batch_shape)

    @property
    def first(self) -> Pass:
        """The pass by the keys that the program was given."""
        return jax.tree.map(lambda array, axis: array if axis is None else array[0], self.runs, self._axes)

    @property
    def everywhere(self) -> Pass:
        """The passes with all axes on everything: `[passes, *batch, ...]`."""

        def one(array: Array, axis: int | None, by_example: bool) -> Array:
            in_front, own = (array.shape[:1], array.shape[1:]) if axis == 0 else ((1,), array.shape)
            batch_shape = self._flat.batch_shape
            if not by_example:
                array = array.reshape(*in_front, *(1 for _ in batch_shape), *own)
                own = (*batch_shape, *own)
            return jnp.broadcast_to(array, (self._count, *own))

        return jax.tree.map(one, self.runs, self._axes, self.marks)

    def over_passes(self, function: Callable[..., PyTree], *arguments: PyTree) -> PyTree:
        """Returns a function of a pass's model, and of arguments with an axis of passes, applied to every one."""

        def one(run: Pass, *own: PyTree) -> PyTree:
            return function(self.model(run), *own)

        axes = (self._axes, *(0 for _ in arguments))
        return jax.vmap(one, in_axes=axes, axis_size=self._count)(held(self.runs), *arguments)

    def model(self, run: Pass) -> Model:
        """Returns the network, the objective and the trace that one pass is."""
        return model_of(self._plan, run, self.marks, self._example, self._flat.batch_shape)

    def trace(self) -> Trace:
        """Returns what all passes have drawn."""
        values, logits = self.over_passes(lambda model: (model.trace.values, model.trace.logits))
        return Trace(values, logits, self.batch_shape)

    def log_weights(self, network: Network, objective: Objective) -> LogWeights:
        """Returns what a bound is made of; the network and the objective are the first pass's."""
        batch_shape = self._flat.batch_shape

        def value(trace: Trace) -> Float[Array, " passes *batch"]:
            def one(model: Model, values: dict[str, Array], logits: dict[str, Array]) -> Float[Array, "*batch"]:
                return model.objective.value(model.network, Trace(values, logits, batch_shape))

            return self.over_passes(one, trace.values, trace.logits)

        def resample(key: Key[Array, ""], trace: Trace, name: str, taken: Array) -> Trace:
            def one(model: Model, key: Key[Array, ""], values: Any, logits: Any, taken: Array) -> tuple[Any, Any]:
                found = model.network.resample(key, Trace(values, logits, batch_shape), name, taken)
                return found.values, found.logits

            keys = jax.random.split(key, self._count)
            values, logits = self.over_passes(one, keys, trace.values, trace.logits, taken)
            return Trace(values, logits, self.batch_shape)

        return LogWeights(network, value, resample, objective.subtracts_log_q(network))


def bound_of(
    estimator: BoundEstimator,
    plan: Plan,
    flat: Flat,
    example: Array | None,
    key: Key[Array, ""] | None,
    state: PyTree,
) -> tuple[Float[Array, ""], PyTree, PassesOfBound]:
    """Returns the bound of passes with noise of their own, whose derivative is the estimate, the state, these passes.

    Args:
        estimator: of the bound.
        plan: of the program.
        flat: its arguments.
        example: as for `model_of`.
        key: of the estimator.
        state: of the estimator, which learns nothing; None begins with `init`.
    """
    own_key = jax.random.fold_in(require_key(estimator, key, "further passes are"), OWN_KEYS)
    passes = PassesOfBound(plan, flat, jax.random.split(own_key, estimator.samples - 1), example)
    network, objective, _ = passes.model(held(passes.first))
    if state is None:
        state = estimator.init(network, objective)
    else:
        require_state(estimator, jax.eval_shape(lambda: estimator.init(network, objective)), state)
    estimator.require_log_weight(network, objective)
    weights, after_key = passes.log_weights(network, objective), jax.random.fold_in(own_key, OWN_KEYS)
    credits = held(estimator.credits_of(weights, passes.trace(), after_key))
    everywhere = passes.everywhere
    outputs = jax.lax.stop_gradient(everywhere.outputs[0])
    combined = estimator.combine(outputs, jnp.ones(outputs.shape, plan.dtype))
    marks = jax.tree.map(lambda _: True, passes.marks)
    return surrogate(plan, everywhere, marks, credits, passes.batch_shape, combined), state, passes
