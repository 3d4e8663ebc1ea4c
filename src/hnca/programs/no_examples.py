"""A call of a program on an empty batch: there is no draw to credit, and nothing for an estimator to learn of."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hnca.estimators import Estimator
from hnca.programs.beforehand import seen
from hnca.programs.crediting import Compiled, Credited, held
from hnca.programs.model import model_of
from hnca.programs.passes import outputs_of_every_example, run_pass


def credited_nothing(estimator: Estimator, compiled: Compiled, state: PyTree) -> tuple[Float[Array, ""], Credited]:
    """Returns the mean over no examples, which is no number and whose derivative is zero, and what comes with it.

    Args:
        estimator: whose first state is returned where none is given.
        compiled: the call, of a batch of size 0.
        state: of the estimator, returned as it is; None for the first.
    """
    plan, flat = compiled.plan, compiled.flat
    run, marks = run_pass(plan, flat.arrays, flat.mapped)
    outputs = outputs_of_every_example(run, marks, flat.batch_shape)
    value = jnp.mean(outputs[0])
    aux = compiled.structure.unflatten([value, *outputs[1:]])[1]
    return value, held(Credited(aux, _first_state(estimator, compiled) if state is None else state))


def with_an_example(compiled: Compiled) -> Compiled:
    """Returns the call of an empty batch as one of a single example, of zeros: what the program is is the same."""
    flat = compiled.flat
    arrays = [_one(a) if mark else a for a, mark in zip(flat.arrays, flat.mapped, strict=True)]
    return compiled._replace(flat=flat._replace(arrays=arrays, batch_shape=(1,)))


def _first_state(estimator: Estimator, compiled: Compiled) -> PyTree:
    plan, flat = compiled.plan, with_an_example(compiled).flat
    run, marks = run_pass(plan, flat.arrays, flat.mapped)
    example = seen(plan.program, flat, plan.dtype)
    model = model_of(plan, held(run), marks, example, flat.batch_shape)
    return estimator.init(model.network, model.objective)


def _one(array: Array) -> Array:
    shape = (1, *array.shape[1:])
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return jnp.broadcast_to(jax.random.key(0, impl=jax.random.key_impl(array)), shape)
    return jnp.zeros(shape, array.dtype)
