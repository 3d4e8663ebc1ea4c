"""One unit's values all in one gradient: the direct part at each of them, weighed by its probability."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca._precision import in_32_bits
from hnca.estimators._estimate import Credits, Passes
from hnca.messages import message
from hnca.network import Network, Trace
from hnca.objectives import Objective


def passes_over_values(owner: str, network: Network, trace: Trace, name: str) -> Passes:
    """Returns the trace and the same with each other value of a layer's one unit, weighed by their probabilities.

    These are given everything else in the trace (the unit's Markov blanket), so that the weighed mean of any function
    of a pass has the expectation that it has at the trace itself. The trace is the first pass.

    Args:
        owner: the estimator, for messages.
        network: the network.
        trace: the pass.
        name: the layer.

    Raises:
        ValueError: if there is no such layer, or it has more than one unit, whose values would be too many together.
    """
    if name not in network.layers:
        raise ValueError(f"{owner}: marginalise={name!r}; expected a layer of the network, {sorted(network.layers)!r}.")
    layer, taken = network.layers[name], trace[name]
    if layer.units != 1:
        raise ValueError(f"{owner}: marginalise={name!r} has {layer.units} units; expected a layer of one.")
    count, batch = layer.alternatives, trace.batch_shape
    steps = jnp.arange(count, dtype=jnp.int32).reshape(count, *(1 for _ in taken.shape))
    places = (layer.index(taken)[None] + steps) % count
    values = {other: jnp.broadcast_to(trace[other][None], (count, *trace[other].shape)) for other in trace.values}
    values[name] = layer.alternative_values(trace.logits[name].dtype).astype(taken.dtype)[places]
    probability = jnp.moveaxis(_probabilities(*in_32_bits((network, trace)), name), -1, 0)
    weights = count * jnp.take_along_axis(probability, places[..., 0], axis=0)
    return Passes(network.evaluate(values, (count, *batch)), jax.lax.stop_gradient(weights))


def require_known(owner: str, objective: Objective, name: str) -> None:
    """Raises a ValueError if a component can be observed only once, and so not at values that were not drawn."""
    observed = sorted(str(component) for component in objective.components if not component.repeatable)
    if observed:
        raise ValueError(
            f"{owner}: marginalise={name!r} evaluates the objective at values that were not drawn, which {observed!r}, "
            "observed once, does not allow; expected None."
        )


def first_of(trace: Trace) -> Trace:
    """Returns the first of several passes."""
    values, logits = jax.tree.map(lambda each: each[0], (trace.values, trace.logits))
    return Trace(values, logits, trace.batch_shape[1:])


def in_first_pass(credits: Credits, count: int) -> Credits:
    """Returns the credits of the first of several passes as those of all, whose mean is taken."""
    return {
        name: jnp.concatenate([count * credit[None], jnp.zeros((count - 1, *credit.shape), credit.dtype)])
        for name, credit in credits.items()
    }


def _probabilities(network: Network, trace: Trace, name: str) -> Float[Array, "*batch alternatives"]:
    """Returns the probability of every value of a layer's one unit given all else (Young 2022, Eq 2)."""
    layer, total = network.layers[name], jnp.zeros_like(trace.logits[name])
    for child in network.children(name):
        total += message(network, trace, child, name)
    posterior = layer.posterior(trace.logits[name], total)
    if posterior.ndim == trace[name].ndim:  # of a Bernoulli unit, the probability of its upper value
        return jnp.concatenate([1 - posterior, posterior], axis=-1)
    return posterior[..., 0, :]
