"""Values of a layer under other logits, coupled to those it took: they part as seldom as two distributions allow.

What a unit took under the logits `before` it keeps under the logits `after` with the probability `min(1, P_after /
P_before)` of that value; otherwise it takes another one, in proportion to what that has gained, `max(0, P_after -
P_before)`. If the value was drawn from the first distribution, then the new one is a draw from the second: the maximal
coupling. For two values it is what one uniform number gives that serves both draws, `1[u < p]`; more values have no
order, and this is what does not need one. Where nothing has changed, everything is kept.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Num

from hnca._precision import at_least_float32
from hnca.units import Categorical, Layer, _noise


def log_probs_of_all(
    layer: Layer, logits: Float[Array, "*logits"], values: Num[Array, "*batch units"]
) -> Float[Array, "*batch units alternatives"]:
    """Returns the log-probability of every value that a unit can take; of `values` only the shape is looked at."""
    if isinstance(layer, Categorical):
        return jax.nn.log_softmax(logits)
    alternatives = layer.alternative_values(logits.dtype)
    of_each = [layer.log_prob(logits, jnp.full(values.shape, value)) for value in alternatives]
    return jnp.stack(of_each, axis=-1)


def coupled_values(
    layer: Layer,
    key: Key[Array, ""],
    before: Float[Array, "*logits"],
    after: Float[Array, "*logits"],
    values: Num[Array, "*batch units"],
) -> Num[Array, "*batch units"]:
    """Draws the layer under other logits, coupled to what it took under the first.

    Args:
        layer: the layer.
        key: from which is drawn whether a unit keeps its value, and what it takes instead.
        before: its logits when it took the values.
        after: other logits.
        values: what it took.
    """
    keep_key, other_key = jax.random.split(key)
    wide = at_least_float32(after.dtype)
    first, second = (log_probs_of_all(layer, logits, values).astype(wide) for logits in (before, after))
    taken = layer.index(values)
    # Of the value taken, by how much its log-probability falls: the odds of leaving it are those of its share that is
    # lost to the share that is kept, right to the tails.
    change = jnp.take_along_axis(second - first, taken[..., None], axis=-1)[..., 0]
    loss = jnp.minimum(change, 0)
    leaves = _noise.bernoulli(keep_key, jnp.log(-jnp.expm1(loss)) - loss)
    gains = jnp.where(second > first, jnp.exp(second) * -jnp.expm1(jnp.minimum(first - second, 0)), 0)
    ends = jnp.cumsum(gains, axis=-1)
    if layer.alternatives == 2:
        other = 1 - taken
    else:
        # Below the last end, also when rounded: what has gained nothing is not taken.
        point = jax.random.uniform(other_key, taken.shape, wide)[..., None] * ends[..., -1:]
        other = jnp.sum(ends <= point, axis=-1, dtype=taken.dtype)
    # Where nothing has gained, be it for rounding, there is nothing to go to.
    leaves &= ends[..., -1] > 0
    alternatives = layer.alternative_values(after.dtype).astype(values.dtype)
    return jnp.where(leaves, alternatives[other], values)
