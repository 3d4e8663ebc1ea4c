"""A call of a program on an empty batch: there is no draw to credit, and nothing for an estimator to learn of."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hnca._warning import warn_of_no_examples
from hnca.estimators import Estimator
from hnca.programs.crediting import Compiled, Credited
from hnca.programs.first_state import first_state
from hnca.programs.passes import outputs_of_every_example, run_pass
from hnca.programs.surrogates import held


def credited_nothing(estimator: Estimator, compiled: Compiled, state: PyTree) -> tuple[Float[Array, ""], Credited]:
    """Returns the mean over no examples, which is no number and has the derivative 0, and what comes with it; warns.

    Args:
        estimator: whose first state is returned where none is given.
        compiled: the call, of a batch of size 0.
        state: of the estimator, returned as it is; None for the first.
    """
    warn_of_no_examples()
    plan, flat = compiled.plan, compiled.flat
    run, marks = run_pass(plan, flat.arrays, flat.mapped)
    outputs = outputs_of_every_example(run, marks, flat.batch_shape)
    value = jnp.mean(outputs[0])
    aux = compiled.structure.unflatten([value, *outputs[1:]])[1]
    return value, held(Credited(aux, first_state(estimator, compiled) if state is None else state))
