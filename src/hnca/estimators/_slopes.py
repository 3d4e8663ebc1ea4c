"""How the objective answers to the point of every layer, by one backpropagation through samples."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.estimators._estimate import Credits
from hnca.estimators._pathwise import moving
from hnca.estimators._relaxation import relaxation_of
from hnca.network import Network, Trace
from hnca.objectives import Objective


def slopes_of(estimator: object, network: Network, objective: Objective, trace: Trace) -> Credits:
    """Returns for every layer the derivative of the objective by its point, in the shape of its logits.

    Of what comes after the layer too, whose samples are given the derivatives of their means (straight-through). It is
    what a linear expansion is made of, and whatever it is, that is unbiased: where it is not finite, it is 0.

    Args:
        estimator: for messages.
        network: the network.
        objective: what is differentiated.
        trace: where.

    Raises:
        ValueError: for a layer of a family that has no relaxation.
    """

    def total(shifts: Credits) -> Float[Array, ""]:
        def take(name: str, logits: Float[Array, "*logits"]) -> Array:
            relaxation, here = relaxation_of(estimator, network.layers[name]), trace.logits[name]
            point = moving(relaxation.point(trace[name], here), relaxation.along(relaxation.soft(here), logits))
            return relaxation.values(point + shifts[name])

        return jnp.sum(objective.value(network, network.forward_pass(take, trace.values, trace.batch_shape)))

    found = jax.grad(total)(jax.tree.map(jnp.zeros_like, trace.logits))
    return jax.tree.map(lambda slope: jnp.where(jnp.isfinite(slope), slope, 0), found)
