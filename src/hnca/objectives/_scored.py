"""The contrast of a log-probability for the layer whose values it scores."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from hnca.units import Layer


def contrast_of_scored(
    scoring: Layer, logits: Float[Array, "*logits"], scored: Layer, values: Num[Array, "*batch units"]
) -> Float[Array, "*logits"]:
    """Returns the contrast of `scoring.log_prob(logits, values)`, unit by unit, for the layer that took the values.

    Args:
        scoring: gives the probability; the same layer as `scored` or another of its family.
        logits: of `scoring`.
        scored: the layer that took the values.
        values: what it took.
    """
    alternatives = scored.alternative_values(logits.dtype)
    scores = [scoring.log_prob(logits, jnp.full_like(values, value)) for value in alternatives]
    return scored.contrast(jnp.stack(scores, axis=-1), values)
