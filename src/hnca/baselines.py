"""Baselines: what is subtracted from a component before it is credited, without changing the expectation.

Each is a small pure pair: `predict` from the state, `update` of the state with what was observed after use.
"""

from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float


class Baseline(eqx.Module):
    """A running prediction of a quantity's mean; independent of the samples it is subtracted from."""

    @abstractmethod
    def init(self, dtype: DTypeLike) -> Float[Array, ""]:
        """Returns the state before anything was observed."""

    @abstractmethod
    def predict(self, state: Float[Array, ""]) -> Float[Array, ""]:
        """Returns the baseline to subtract."""

    @abstractmethod
    def update(self, state: Float[Array, ""], observed: Float[Array, "*batch"]) -> Float[Array, ""]:
        """Returns the state after a batch was observed."""


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

    def init(self, dtype: DTypeLike) -> Float[Array, ""]:
        return jnp.zeros((), dtype)

    def predict(self, state: Float[Array, ""]) -> Float[Array, ""]:
        return state

    def update(self, state: Float[Array, ""], observed: Float[Array, "*batch"]) -> Float[Array, ""]:
        return self.decay * state + (1 - self.decay) * jnp.mean(observed)
