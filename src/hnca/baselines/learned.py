"""A baseline that is learned from the inputs."""

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from hnca._options import is_number
from hnca.baselines import _regression as regression
from hnca.baselines._base import Baseline
from hnca.baselines._regression import Regression


class LearnedState(NamedTuple):
    """What is known of one quantity.

    Attributes:
        regression: of the standardised quantity by the inputs.
        mean: running sum of the batch means, each weighted by how long ago it was, `[]`.
        variance: the same of the mean squared distances from the running mean, `[]`.
        weight: the sum of these weights, `[]`: what the two sums are to be divided by.
    """

    regression: Regression
    mean: Float[Array, ""]
    variance: Float[Array, ""]
    weight: Float[Array, ""]


class LearnedBaseline(Baseline):
    """An input-dependent baseline: a network of the inputs, around a running mean and in units of a running deviation.

    `b(inputs) = c + d C(inputs)`: `c` and `d` are exponential moving averages of the mean and of the standard deviation
    of what is observed, without the pull of where they begin; `C` has one hidden layer of 100 tanh units, begins at 0,
    and is trained by regression on `(observed - c) / d` with one step of Adam a batch. So one learning rate serves
    rewards of 0 and 1 and bounds of hundreds of nats alike.

    Example:
        ```python
        hnca.HNCA(baseline=hnca.LearnedBaseline())
        ```

    Source: Mnih and Gregor, *Neural variational inference and learning in belief networks*, 2014, Section 2.3.

    Attributes:
        learning_rate: of Adam, positive.
        decay: the weight of the past in the moving averages, in [0, 1).
    """

    learning_rate: float = eqx.field(static=True, default=1e-3)
    decay: float = eqx.field(static=True, default=0.99)

    def __check_init__(self):
        if not is_number(self.learning_rate) or not 0 < self.learning_rate < math.inf:
            raise ValueError(f"LearnedBaseline: learning_rate={self.learning_rate!r}; expected a positive number.")
        if not is_number(self.decay) or not 0 <= self.decay < 1:
            raise ValueError(f"LearnedBaseline: decay={self.decay!r}; expected a number in [0, 1).")

    def init(self, size: int, dtype: DTypeLike) -> LearnedState:
        # An array each, so that a state can be donated to the next update.
        return LearnedState(regression.begin(size, dtype, self._adam), *(jnp.zeros((), dtype) for _ in range(3)))

    def predict(self, state: LearnedState, inputs: Float[Array, "*batch size"]) -> Float[Array, "*batch"]:
        mean, deviation = _moments(state)
        return mean + deviation * regression.predict(state.regression, inputs)

    def update(
        self, state: LearnedState, inputs: Float[Array, "*batch size"], observed: Float[Array, "*batch"]
    ) -> LearnedState:
        past, now = self.decay, 1 - self.decay
        state = state._replace(mean=past * state.mean + now * jnp.mean(observed), weight=past * state.weight + now)
        distance = observed - _moments(state)[0]
        state = state._replace(variance=past * state.variance + now * jnp.mean(distance**2))
        _, deviation = _moments(state)
        target = distance / _or_one(deviation)
        return state._replace(regression=regression.learn(state.regression, inputs, target, self._adam))

    @property
    def _adam(self) -> optax.GradientTransformation:
        # Targets are of size 1, and of mean 0 in the first batch: rounding must not become a step of full size.
        return optax.adam(self.learning_rate, eps=1e-4)


def _moments(state: LearnedState) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns the running mean and the running standard deviation, which is 0 where there is only rounding."""
    weight = _or_one(state.weight)
    mean, deviation = state.mean / weight, jnp.sqrt(state.variance / weight)
    rounding = 8 * jnp.finfo(mean.dtype).eps * jnp.abs(mean)
    return mean, jnp.where(deviation > rounding, deviation, jnp.zeros_like(deviation))


def _or_one(divisor: Float[Array, ""]) -> Float[Array, ""]:
    """Returns 1 where nothing was observed, or nothing but one value: what is divided is 0 then."""
    return jnp.where(divisor > 0, divisor, jnp.ones_like(divisor))
