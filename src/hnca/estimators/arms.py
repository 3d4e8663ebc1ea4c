"""ARMS: several samples of each layer, every two of them antithetic."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hnca._precision import at_least_float32
from hnca.estimators._antithetic import uniform_given_state
from hnca.estimators._requirements import require_bernoulli
from hnca.estimators._several import SeveralSamplesEstimator
from hnca.units import Layer


class ARMS(SeveralSamplesEstimator):
    r"""The antithetic estimator of several samples for Bernoulli layers, layer by layer; of two it is `DisARM`.

    **Formula.** A unit whose unlikelier value has the probability `r` takes it in sample k of n = `samples` if `d_k >
    1 - r^(1/(n-1))`, where `d_1 ... d_n` are uniform on the simplex: each sample has the unit's own distribution, and
    two of them take the unlikelier value together with the probability `J = max(0, 2 r^(1/(n-1)) - 1)^(n-1) <= r^2`.
    The credit is `1/n sum_k (x_k - p) (f_k - 1/(n-1) sum_{j != k} f_j) r (1 - r) / (r - J)`.

    **Bias.** None: of each pair the expectation is `(r - J) (f(1) - f(0))`. **Cost.** As `MultiSampleLeaveOneOut`: one
    forward pass, and for every layer `samples - 1` more of what comes after it. Needs an objective that can be
    evaluated more than once.

    Example:
        ```python
        bound, estimate = hnca.estimate(hnca.ARMS(samples=4), encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** Dimitriev and Zhou, *ARMS: Antithetic-REINFORCE-multi-sample gradient for binary variables*, 2021,
    the Dirichlet copula.

    Attributes:
        samples: n, at least 2.
    """

    samples: int = eqx.field(static=True, default=4)

    def others(
        self, layer: Layer, keys: Key[Array, " others"], logits: Float[Array, "*logits"], values: Array
    ) -> Array:
        bernoulli = require_bernoulli(self, layer)
        unlikely = unlikely_given_first(keys[0], logits, bernoulli.state(values), self.samples)
        return bernoulli.from_state(jnp.where(logits > 0, 1 - unlikely, unlikely))

    def scale(self, logits: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        steepness = jnp.abs(logits)
        # With t = r^(1/(n-1)) the ratio J / r is (2 - 1 / t)^(n-1), where 2 t > 1.
        shared = jnp.maximum(0, 2 - jnp.exp(jax.nn.softplus(steepness) / (self.samples - 1)))
        return jax.nn.sigmoid(steepness) / (1 - shared ** (self.samples - 1))


def unlikely_given_first(
    key: Key[Array, ""], logits: Float[Array, "*batch units"], state: Float[Array, "*batch units"], samples: int
) -> Float[Array, "others *batch units"]:
    """Returns where the other samples take a unit's unlikelier value, 1 or 0, given the first sample's state."""
    power, dtype = 1 / (samples - 1), at_least_float32(logits.dtype)
    first_key, rest_key = jax.random.split(key)
    below = -jnp.abs(logits.astype(dtype))
    first = jnp.where(logits > 0, 1 - state, state).astype(dtype)
    # What the first leaves of the simplex to the others, of a uniform number; they share it uniformly.
    log_left = power * jnp.log(uniform_given_state(first_key, below, first))
    parts = jax.random.exponential(rest_key, (samples - 1, *logits.shape), dtype)
    # All but one's own part: of one other sample that is what the first has, without a rounding error of its own.
    others_parts = jnp.sum(parts, axis=0, keepdims=True) - parts if samples > 2 else jnp.zeros_like(parts)
    share = jnp.exp(log_left)[None] * others_parts / jnp.sum(parts, axis=0, keepdims=True)
    elsewhere = share - jnp.expm1(log_left)[None]
    return (elsewhere < jnp.exp(power * jax.nn.log_sigmoid(below))[None]).astype(logits.dtype)
