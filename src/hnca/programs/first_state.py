"""The state of an estimator before the first call of a program: found without a draw, or anything compiled for long."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from hnca.estimators import Estimator
from hnca.programs.affordable import most_of
from hnca.programs.arguments import is_key
from hnca.programs.beforehand import seen
from hnca.programs.crediting import Compiled
from hnca.programs.model import model_of
from hnca.programs.passes import execute, run_pass
from hnca.programs.surrogates import held
from hnca.programs.whole_batch import Whole, model_of_examples


def first_state(estimator: Estimator, compiled: Compiled) -> PyTree:
    """Returns the estimator's state before the first call of a function of one example.

    Args:
        estimator: whose.
        compiled: a call, of a batch of any size, or of none.
    """
    whole = with_an_example(compiled) if 0 in compiled.flat.batch_shape else compiled
    plan = whole.plan

    def init(arrays: list[Array]) -> PyTree:
        flat = whole.flat._replace(arrays=arrays)
        run, marks = run_pass(plan, arrays, flat.mapped)
        example = seen(plan.program, flat, plan.dtype)
        model = model_of(plan, held(run), marks, example, flat.batch_shape, most_of(estimator, plan))
        return estimator.init(model.network, model.objective)

    # Of all that the network and the objective are made of it reads no more than shapes: the compiler drops the rest.
    return jax.jit(init)(whole.flat.arrays)


def first_state_of_whole(estimator: Estimator, whole: Whole) -> PyTree:
    """As `first_state`, for a function of a whole batch."""

    def init(arrays: list[Array]) -> PyTree:
        found = whole._replace(flat=whole.flat._replace(arrays=arrays))
        model = model_of_examples(found, execute(whole.program, arrays), most_of(estimator, whole.plan))
        return estimator.init(model.network, model.objective)

    return jax.jit(init)(whole.flat.arrays)


def with_an_example(compiled: Compiled) -> Compiled:
    """Returns the call of an empty batch as one of a single example, of zeros: what the program is is the same."""
    flat = compiled.flat
    arrays = [_one(a) if mark else a for a, mark in zip(flat.arrays, flat.mapped, strict=True)]
    return compiled._replace(flat=flat._replace(arrays=arrays, batch_shape=(1,)))


def _one(array: Array) -> Array:
    shape = (1, *array.shape[1:])
    if is_key(array):
        return jnp.broadcast_to(jax.random.key(0, impl=jax.random.key_impl(array)), shape)
    return jnp.zeros(shape, array.dtype)
