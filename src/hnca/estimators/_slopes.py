"""How the objective answers to the points of all layers, by backpropagation through samples."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.estimators._downstream import downstream_members
from hnca.estimators._estimate import Credits
from hnca.estimators._expansion import inner
from hnca.estimators._passes import mean_of_the_others
from hnca.estimators._pathwise import moving
from hnca.estimators._relaxation import relaxation_of
from hnca.network import Network, Trace
from hnca.objectives import Objective


def slopes_of(estimator: object, network: Network, objective: Objective, trace: Trace) -> dict[str, Credits]:
    """Returns for every layer how what it can change answers to the points of all layers, each in its logits' shape.

    Through all that comes after a point, whose samples are given the derivatives of their means (straight-through). It
    is what a linear expansion is made of, and whatever it is, that is unbiased: where it is not finite, it is 0.

    Args:
        estimator: for messages.
        network: the network.
        objective: what is differentiated.
        trace: where.

    Raises:
        ValueError: for a layer of a family that has no relaxation.
    """

    def components(shifts: Credits) -> list[Float[Array, "*batch"]]:
        def take(name: str, logits: Float[Array, "*logits"]) -> Array:
            relaxation, here = relaxation_of(estimator, network.layers[name]), trace.logits[name]
            point = moving(relaxation.point(trace[name], here), relaxation.along(relaxation.soft(here), logits))
            return relaxation.values(point + shifts[name])

        return objective.values(network, network.forward_pass(take, trace.values, trace.batch_shape))

    values, pull = jax.vjp(components, jax.tree.map(jnp.zeros_like, trace.logits))
    found: dict[tuple[int, ...], Credits] = {}
    slopes = {}
    for name, members in downstream_members(network, objective).items():
        if members not in found:
            (by_point,) = pull([jnp.full_like(v, place in members) for place, v in enumerate(values)])
            found[members] = jax.tree.map(lambda slope: jnp.where(jnp.isfinite(slope), slope, 0), by_point)
        slopes[name] = found[members]
    return slopes


def expansion_of(network: Network, trace: Trace, slopes: Credits, but: str) -> Float[Array, " passes *batch"]:
    """Returns what the noise of all layers but one adds to first order, in each pass, by the other passes' slopes.

    Of every layer's score given its parents the mean is 0, and so that of each term, whatever else is known of what
    comes before the layer: it may be taken from what any other layer is credited with.
    """
    terms = [
        inner(mean_of_the_others(slopes[name]), network.layers[name].score(trace.logits[name], trace[name]), trace)
        for name in network.order
        if name != but
    ]
    return sum(terms, jnp.zeros(trace.batch_shape, network.dtype))
