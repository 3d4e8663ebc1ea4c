"""The contract of a baseline."""

from abc import abstractmethod

import equinox as eqx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PyTree


class Baseline(eqx.Module):
    """A prediction of a quantity from batches before this one, and from the inputs of the network if it wishes.

    It must not depend on the samples that it is subtracted from; inputs are not sampled.
    """

    @abstractmethod
    def init(self, size: int, dtype: DTypeLike) -> PyTree:
        """Returns the state before anything was observed: arrays only, so that it can be carried through a scan.

        Args:
            size: how many numbers all inputs of the network have together.
            dtype: of what is predicted.
        """

    @abstractmethod
    def predict(self, state: PyTree, inputs: Float[Array, "*batch size"]) -> Float[Array, "*predicted"]:
        """Returns the baseline to subtract, `[*batch]` or one number for all, `[]`.

        Args:
            state: as `init` or `update` returned it.
            inputs: all inputs of the network side by side.
        """

    @abstractmethod
    def update(self, state: PyTree, inputs: Float[Array, "*batch size"], observed: Float[Array, "*batch"]) -> PyTree:
        """Returns the state after a batch was observed."""
