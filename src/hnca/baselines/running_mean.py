"""A running mean as a baseline."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from hnca._options import is_number, require_flag
from hnca.baselines._base import Baseline


class Average(NamedTuple):
    """What a debiased running mean has seen.

    Attributes:
        total: the batch means, each weighted by how long ago it was, `[]`.
        weight: the sum of these weights, `1 - decay^n` after `n` batches, `[]`.
    """

    total: Float[Array, ""]
    weight: Float[Array, ""]


class RunningMean(Baseline):
    """An exponential moving average of the batch means: `b <- decay * b + (1 - decay) * mean(observed)`, from 0.

    From 0 it takes `1 / (1 - decay)` batches to come near what it averages: at 0.99 and 60,000 images in batches of 50,
    most of the first epoch. Debiased, as Adam's moments are, it is the weighted mean of what it has seen from the
    first batch on.

    Example:
        ```python
        hnca.HNCA(baseline=hnca.RunningMean())
        hnca.HNCA(baseline=hnca.RunningMean(debias=False))    # to the bit as published
        ```

    Source: Young 2022, Section 1.3 and Appendix E (decay 0.99, from 0); the division is Kingma and Ba, *Adam: A method
    for stochastic optimization*, 2015, Section 3.

    Attributes:
        decay: the weight of the past, in [0, 1).
        debias: whether to divide by `1 - decay^n` after `n` batches; the paper does not.
    """

    decay: float = eqx.field(static=True, default=0.99)
    debias: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        if not is_number(self.decay) or not 0 <= self.decay < 1:
            raise ValueError(f"RunningMean: decay={self.decay!r}; expected a number in [0, 1).")
        require_flag("RunningMean", "debias", self.debias)

    def init(self, size: int, dtype: DTypeLike) -> Average | Float[Array, ""]:
        # Two arrays, so that a state can be donated to the next update.
        return Average(jnp.zeros((), dtype), jnp.zeros((), dtype)) if self.debias else jnp.zeros((), dtype)

    def predict(self, state: Average | Float[Array, ""], inputs: Float[Array, "*batch size"]) -> Float[Array, ""]:
        if not isinstance(state, Average):
            return state
        return state.total / jnp.where(state.weight > 0, state.weight, jnp.ones_like(state.weight))

    def update(
        self, state: Average | Float[Array, ""], inputs: Float[Array, "*batch size"], observed: Float[Array, "*batch"]
    ) -> Average | Float[Array, ""]:
        mean = jnp.mean(observed)
        if not isinstance(state, Average):
            return self._averaged(state, mean)
        return Average(self._averaged(state.total, mean), self._averaged(state.weight, jnp.ones_like(mean)))

    def _averaged(self, past: Float[Array, ""], now: Float[Array, ""]) -> Float[Array, ""]:
        return self.decay * past + (1 - self.decay) * now
