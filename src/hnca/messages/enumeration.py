"""The message of any child to any parent, by evaluating the child anew for every value of every parent unit."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.network import Network, Trace


def enumerated_message(network: Network, trace: Trace, child: str, parent: str) -> Float[Array, "*logits"]:
    """Returns the message from `child` to `parent`; see `hnca.messages.message`.

    Costs `units * alternatives` evaluations of the child layer, one at a time, so its memory is that of one. Exact
    for every family and conditional, and the reference for the faster ways.
    """
    layer, above = network.layers[child], network.layers[parent]
    values = trace[parent]
    alternatives = above.alternative_values(trace.logits[parent].dtype)

    def log_prob_had_unit_been(unit_and_value: tuple[Array, Array]) -> Float[Array, "*batch"]:
        unit, value = unit_and_value
        changed = values.at[..., unit].set(value)
        logits = network.layer_logits({**trace.values, parent: changed}, child, trace.batch_shape)
        return jnp.sum(layer.log_prob(logits, trace[child]), axis=-1)

    units = jnp.repeat(jnp.arange(above.units), above.alternatives)
    log_probs = jax.lax.map(log_prob_had_unit_been, (units, jnp.tile(alternatives, above.units)))
    log_probs = log_probs.reshape(above.units, above.alternatives, *trace.batch_shape)
    return above.contrast(jnp.moveaxis(log_probs, (0, 1), (-2, -1)), values)
