"""RODEO: leave-one-out with discrete Stein operators of a learned function of the other passes."""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from hnca._options import is_count, is_number
from hnca._precision import at_least_float32, in_full_precision
from hnca.estimators._adaptation import AdaptationState, adapted, hidden_layer, hidden_of, mean_square
from hnca.estimators._base import Credits
from hnca.estimators._downstream import downstream_values, over_logits
from hnca.estimators._passes import IndependentPassesEstimator, mean_of_the_others
from hnca.estimators._relaxation import relaxation_of
from hnca.estimators._requirements import require_differentiable
from hnca.estimators._slopes import expansion_of, slopes_of
from hnca.estimators._stein import Neighbours, neighbours_of, stein_credit, stein_value
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective

Weights = dict[str, Array]


class Range(NamedTuple):
    """Running sums of what a layer can change, by which its learned function sees it on a scale of 1.

    Attributes:
        weight: how much has been summed.
        total: of the values.
        square: of their squares.
    """

    weight: Float[Array, ""]
    total: Float[Array, ""]
    square: Float[Array, ""]


class RODEOState(NamedTuple):
    """What the estimator carries from call to call, in float32 at least, by layer.

    Attributes:
        adaptation: the learned functions' arrays, and the state of the Adam that adapts them.
        ranges: of the objective.
    """

    adaptation: AdaptationState
    ranges: dict[str, Range]


class RODEO(IndependentPassesEstimator):
    r"""The leave-one-out estimator over independent passes, with two control variates by discrete Stein operators.

    **Formula.** In pass k of K = `samples` a layer has the point `x_k` (0 or 1, or one-hot), the mean `p_k` given its
    parents, `s_k = x_k - p_k`, and `f_k`, the sum of the components it can change; `g_k` and `m_k` are the means, over
    the *other* passes, of the derivative of `f` by the layer's point, through all that comes after it, and of `f`.
    With the operator `(A h)(x) = sum_i E[h(x with unit i drawn again)] - h(x)`, whose expectation is 0
    for any `h`, the layer's credit in the pass is `s_k [f_k - 1/(K-1) sum_{j != k} (f_j + (A h_j)(x_j))] + (A [h'_k
    s])(x_k)`; the gradient is the mean of the passes'. `h_k` and `h'_k` are two functions `scale d + r(m_k, d)` of `d =
    <g_k, x - p_k>`: `r` is a network with one layer of hyperbolic tangents, which sees both numbers on the scale that
    the objective has had so far. From `f_k` itself, outside of these functions, is taken what the noise of the other
    layers adds to it to first order, in the same way.

    After each call one step of Adam on the scales and on all that `r` has lessens the mean square of the credits.

    **Bias.** None, whatever the functions are: neither depends on `x_k`. **Cost.** `samples` forward passes and
    evaluations of the objective, whatever the depth; for each layer one backpropagation through them, and
    `hidden_units` hyperbolic tangents a logit and pass. Needs an objective that can be differentiated by the values of
    the units.

    Example:
        ```python
        method = hnca.RODEO(samples=3)
        bound, estimate = hnca.estimate(method, encoder, objective, {"image": images}, key=key)
        bound, estimate = hnca.estimate(method, encoder, objective, inputs, key=key2, state=estimate.state)
        ```

    **Reference.** Shi, Zhou, Hwang, Titsias and Mackey, *Gradient estimation with discrete Stein operators*, 2022, with
    functions of other shapes.

    Attributes:
        samples: K, at least 2.
        scale: of all that is linear at first, half of it for `h'`; 0 is `IndependentLeaveOneOut`.
        learning_rate: of the adaptation; 0 leaves everything as it is.
        hidden_units: of `r`, at least 1.
        seed: of the first weights of `r`.

    Raises:
        ValueError: for a value outside these; when called, for a layer that is neither Bernoulli nor categorical, for a
            reward that can be observed only once, and for no key.
    """

    samples: int = eqx.field(static=True, default=3)
    scale: float = eqx.field(static=True, default=1.0)
    learning_rate: float = eqx.field(static=True, default=1e-3)
    hidden_units: int = eqx.field(static=True, default=8)
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if not is_number(self.scale) or not math.isfinite(self.scale):
            raise ValueError(f"RODEO: scale={self.scale!r}; expected a finite number, such as 1.0.")
        if not is_number(self.learning_rate) or not 0 <= self.learning_rate < math.inf:
            raise ValueError(f"RODEO: learning_rate={self.learning_rate!r}; expected a number of at least 0.")
        if not is_count(self.hidden_units, 1):
            raise ValueError(f"RODEO: hidden_units={self.hidden_units!r}; expected at least 1.")
        if not is_count(self.seed):
            raise ValueError(f"RODEO: seed={self.seed!r}; expected a whole number.")

    def init(self, network: Network, objective: Objective | Component) -> RODEOState:
        dtype = at_least_float32(network.dtype)
        weights = {
            name: {
                # Of what a pass is the baseline for, of what is put to its own credit, and of the other layers.
                "linear": jnp.asarray([self.scale, self.scale / 2, self.scale], dtype),
                **hidden_layer(key, 2, self.hidden_units, dtype),
                "output": jnp.zeros((self.hidden_units, 2), dtype),
            }
            for name, key in network.layer_keys(jax.random.key(self.seed)).items()
        }
        ranges = {name: Range(*(jnp.zeros((), dtype) for _ in range(3))) for name in network.order}
        return RODEOState(AdaptationState(weights, self._adam.init(weights)), ranges)

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: RODEOState
    ) -> tuple[Credits, RODEOState]:
        require_differentiable(self, network, objective)
        slopes, values = slopes_of(self, network, objective, trace), downstream_values(network, objective, trace)
        around, elsewhere = {}, {}
        for name in network.order:
            layer, logits = network.layers[name], trace.logits[name]
            point = relaxation_of(self, layer).point(trace[name], logits)
            slope = mean_of_the_others(slopes[name][name])
            elsewhere[name] = expansion_of(network, trace, slopes[name], but=name)
            around[name] = neighbours_of(layer, logits, point, slope, len(trace.batch_shape))

        def second_moment(weights: dict[str, Weights]) -> tuple[Float[Array, ""], Credits]:
            credits = {
                name: jnp.zeros_like(trace.logits[name])
                if value is None
                else _credit(_as(weights[name], value), state.ranges[name], around[name], value, elsewhere[name])
                for name, value in values.items()
            }
            # Of the mean over passes, which is what makes the gradient.
            of_mean = {name: jnp.mean(credit, axis=0) for name, credit in credits.items()}
            return mean_square(of_mean, trace.batch_shape[1:]), credits

        # The credits are made with the state as it was: one adapted to these very samples would bias them.
        slope, credits = jax.grad(second_moment, has_aux=True)(state.adaptation.parameters)
        if not math.prod(trace.batch_shape):
            return credits, state
        seen = {name: value for name, value in values.items() if value is not None}
        ranges = {**state.ranges, **{name: _after(state.ranges[name], value) for name, value in seen.items()}}
        return credits, RODEOState(adapted(self._adam, state.adaptation, slope), ranges)

    @property
    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)


@in_full_precision
def _credit(
    weights: Weights,
    seen: Range,
    around: Neighbours,
    value: Float[Array, " passes *batch"],
    elsewhere: Float[Array, " passes *batch"],
) -> Float[Array, "*logits"]:
    """Returns the credit of one layer in every pass."""
    mean, spread = _scale_of(seen, value)
    first, second, third = weights["linear"]
    others = (mean_of_the_others(value) - mean) / spread

    def function(projected: Array) -> tuple[Array, Array]:
        """Returns both functions of the projection, in its shape."""
        beside = jnp.broadcast_to(over_logits(others, projected), projected.shape)
        hidden = hidden_of(weights, jnp.stack([beside, projected / spread], axis=-1))
        learned = spread * (hidden @ weights["output"])
        return first * projected + learned[..., 0], second * projected + learned[..., 1]

    (here, own_here), (there, own_there) = function(around.here), function(around.there)
    # What others see of a pass must be its value alone; in a sum with the score all that has the mean 0 may be.
    value = value - third * elsewhere
    baseline = mean_of_the_others(value + stein_value(around, here, there))
    return around.score * over_logits(value - baseline, around.score) + stein_credit(around, own_here, own_there)


def _scale_of(seen: Range, value: Array) -> tuple[Array, Array]:
    """Returns the running mean and standard deviation: 0 and 1 before anything has been seen."""
    known = seen.weight > 0
    weight = jnp.where(known, seen.weight, 1)
    mean = seen.total / weight
    # Not less than what is left of the digits.
    variance = jnp.maximum(seen.square / weight - mean**2, 1e-6 * seen.square / weight)
    spread = jnp.sqrt(jnp.where(known & (variance > 0), variance, 1))
    return mean.astype(value.dtype), spread.astype(value.dtype)


def _after(seen: Range, value: Array, decay: float = 0.99) -> Range:
    wide = value.astype(seen.total.dtype)
    new = Range(jnp.ones_like(seen.weight), jnp.mean(wide), jnp.mean(wide**2))
    return jax.tree.map(lambda old, one: decay * old + (1 - decay) * one, seen, new)


def _as(weights: Weights, value: Array) -> Weights:
    return jax.tree.map(lambda leaf: leaf.astype(value.dtype), weights)
