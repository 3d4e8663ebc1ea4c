"""A reward, observed once."""

from collections.abc import Sequence

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Shaped

from hnca._names import layer_names
from hnca._options import known_numbers, real_numbers
from hnca.network import Network, Trace
from hnca.objectives._base import Component


class Reward(Component):
    """A reward observed once: nothing is known of what it would have been otherwise.

    Example:
        ```python
        reward = environment(trace["action"])
        estimate = hnca.HNCA()(network, hnca.Reward("action", reward), trace)
        ```

    Attributes:
        observed: the reward of every example, `[*batch]`.
    """

    observed: Shaped[Array, "*batch"]
    arguments: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(self, arguments: str | Sequence[str], observed: Shaped[Array | np.ndarray, "*batch"]):
        """Args:
            arguments: the layers the environment saw; the reward depends on the others only through them.
            observed: the reward of every example, `[*batch]`; larger is better.

        Raises:
            ValueError: for no arguments, or a reward that is complex or (outside of `jax.jit`, where values are known)
                NaN or infinite.
        """
        self.arguments = layer_names("Reward", "arguments", arguments)
        self.counterfactual = False
        self.repeatable = False
        self.observed = real_numbers("Reward", "observed", observed)
        _require_finite(self.observed)

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        if self.observed.shape != trace.batch_shape:
            raise ValueError(
                f"Reward: observed has shape {self.observed.shape}; expected one reward an example, "
                f"{trace.batch_shape}."
            )
        return self.observed.astype(network.dtype)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        raise ValueError("Reward: an observed reward has no counterfactual, so no contrast.")


def _require_finite(observed: Array) -> None:
    known = known_numbers(observed)
    count = 0 if known is None else int(np.sum(~np.isfinite(known)))
    if count:
        raise ValueError(f"Reward: observed has {count} values that are NaN or infinite; expected finite rewards.")
