"""What a family's samples relax to: points between the discrete values, and the noise that makes them.

A *point* has the shape of the logits: of a Bernoulli unit its state, 0 or 1 or between; of a categorical unit a point
of the simplex, a corner if it is discrete. *Scores* are the logits with noise added, such that the discrete point is
where the largest one is (for a Bernoulli unit, whether the one there is is positive): the Gumbel-max trick.
"""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Num

from hnca._precision import at_least_float32
from hnca.units import Bernoulli, Categorical, Layer

_CERTAIN = 1e4


def finite(logits: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
    """Returns logits of which infinite ones are as good as infinite, so that noise can be added and taken away."""
    return jnp.where(jnp.isinf(logits), jnp.sign(logits) * _CERTAIN, logits)


class Relaxation(eqx.Module):
    """The relaxation of one layer."""

    @abstractmethod
    def point(self, values: Num[Array, "*values"], logits: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        """Returns where the values are."""

    @abstractmethod
    def values(self, point: Float[Array, "*logits"]) -> Float[Array, "*values"]:
        """Returns the values that the layer's children and the objective see; floats for every family."""

    @abstractmethod
    def soft(self, scores: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        """Returns the point of the scores: of the logits alone, the mean."""

    @abstractmethod
    def along(self, point: Float[Array, "*logits"], change: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        """Returns how far `soft` moves from this point for a small change of the scores; linear in the change."""

    @abstractmethod
    def noise(self, key: Key[Array, ""], logits: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        """Returns fresh noise, which does not depend on the logits but for shape and dtype; add it for scores."""

    @abstractmethod
    def scores_given(
        self, noise: Float[Array, "*logits"], logits: Float[Array, "*logits"], point: Float[Array, "*logits"]
    ) -> Float[Array, "*logits"]:
        """Returns scores drawn from their posterior, given that they made this discrete point.

        A differentiable function of the logits, finite for any of them.

        Args:
            noise: fresh, as `noise` returns it, drawn independently of the point.
            logits: of the layer.
            point: discrete.
        """

    @abstractmethod
    def scores_apart(
        self, logits: Float[Array, "*logits"], point: Float[Array, "*logits"], gap: float
    ) -> Float[Array, "*logits"]:
        """Returns the logits, moved as little as makes this discrete point theirs by a gap.

        The value taken gets the largest logit that there is, and no other one is nearer to it than the gap.
        """


class BernoulliRelaxation(Relaxation):
    """The binary concrete distribution: logistic noise."""

    layer: Bernoulli

    def point(self, values: Num[Array, "*values"], logits: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        return self.layer.state(values).astype(logits.dtype)

    def values(self, point: Float[Array, "*logits"]) -> Float[Array, "*values"]:
        return self.layer.from_state(point)

    def soft(self, scores: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        return jax.nn.sigmoid(scores)

    def along(self, point: Float[Array, "*logits"], change: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        return point * (1 - point) * change

    def noise(self, key: Key[Array, ""], logits: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        return jax.random.logistic(key, logits.shape, at_least_float32(logits.dtype)).astype(logits.dtype)

    def scores_given(
        self, noise: Float[Array, "*logits"], logits: Float[Array, "*logits"], point: Float[Array, "*logits"]
    ) -> Float[Array, "*logits"]:
        # With noise = log(v / (1 - v)) this is log(1 + v / ((1 - v) (1 - p))) for the upper value, and minus the same
        # with p for 1 - p for the lower (Tucker et al. 2017, the appendix on reparameterising the conditional).
        sign = 2 * point - 1
        return sign * jax.nn.softplus(noise + jax.nn.softplus(sign * logits))

    def scores_apart(
        self, logits: Float[Array, "*logits"], point: Float[Array, "*logits"], gap: float
    ) -> Float[Array, "*logits"]:
        sign = 2 * point - 1
        return sign * jnp.maximum(sign * logits, gap)


class CategoricalRelaxation(Relaxation):
    """The concrete distribution: Gumbel noise."""

    layer: Categorical

    def point(self, values: Num[Array, "*values"], logits: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        return self.layer.point(values, logits.dtype)

    def values(self, point: Float[Array, "*logits"]) -> Float[Array, "*values"]:
        return point

    def soft(self, scores: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        return jax.nn.softmax(scores)

    def along(self, point: Float[Array, "*logits"], change: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        return point * (change - jnp.sum(point * change, axis=-1, keepdims=True))

    def noise(self, key: Key[Array, ""], logits: Float[Array, "*logits"]) -> Float[Array, "*logits"]:
        return jax.random.gumbel(key, logits.shape, at_least_float32(logits.dtype)).astype(logits.dtype)

    def scores_given(
        self, noise: Float[Array, "*logits"], logits: Float[Array, "*logits"], point: Float[Array, "*logits"]
    ) -> Float[Array, "*logits"]:
        # The largest score has its own Gumbel distribution; the others are truncated at it (the same appendix).
        largest = jax.nn.logsumexp(logits, axis=-1, keepdims=True) + jnp.sum(point * noise, axis=-1, keepdims=True)
        largest = jnp.broadcast_to(largest, logits.shape)
        return jnp.where(point > 0.5, largest, -jnp.logaddexp(-(logits + noise), -largest))

    def scores_apart(
        self, logits: Float[Array, "*logits"], point: Float[Array, "*logits"], gap: float
    ) -> Float[Array, "*logits"]:
        largest = jnp.max(logits, axis=-1, keepdims=True)
        return jnp.where(point > 0.5, largest, jnp.minimum(logits, largest - gap))


def relaxation_of(estimator: object, layer: Layer) -> Relaxation:
    """Returns the relaxation of a layer; a family that has none is a ValueError that names the estimator."""
    if isinstance(layer, Bernoulli):
        return BernoulliRelaxation(layer)
    if isinstance(layer, Categorical):
        return CategoricalRelaxation(layer)
    raise ValueError(
        f"{type(estimator).__name__}: is for Bernoulli and Categorical layers, and not for {type(layer).__name__}; use "
        "HNCA."
    )
