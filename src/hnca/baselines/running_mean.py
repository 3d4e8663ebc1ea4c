"""A running mean as a baseline."""

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from hnca.baselines._base import Baseline


class RunningMean(Baseline):
    """An exponential moving average of the batch means: `b <- decay * b + (1 - decay) * mean(observed)`, from 0.

    Source: Young 2022, Section 1.3 and Appendix E (decay 0.99).

    Attributes:
        decay: the weight of the past, in [0, 1).
    """

    decay: float = eqx.field(static=True, default=0.99)

    def __check_init__(self):
        if not 0 <= self.decay < 1:
            raise ValueError(f"RunningMean: decay={self.decay!r}; expected a number in [0, 1).")

    def init(self, size: int, dtype: DTypeLike) -> Float[Array, ""]:
        return jnp.zeros((), dtype)

    def predict(self, state: Float[Array, ""], inputs: Float[Array, "*batch size"]) -> Float[Array, ""]:
        return state

    def update(
        self, state: Float[Array, ""], inputs: Float[Array, "*batch size"], observed: Float[Array, "*batch"]
    ) -> Float[Array, ""]:
        return self.decay * state + (1 - self.decay) * jnp.mean(observed)
