"""Subtracting a baseline from what is credited: shared by the estimators that take one."""

import jax
from jaxtyping import Array, Float

from hnca.baselines import Baseline


def centred(
    baseline: Baseline | None, state: Array | None, value: Float[Array, "*batch"]
) -> tuple[Float[Array, "*batch"], Array | None]:
    """Returns the value less the baseline, and the baseline's state after it has seen the value."""
    if baseline is None or state is None:
        return value, state
    return value - baseline.predict(state), jax.lax.stop_gradient(baseline.update(state, value))
