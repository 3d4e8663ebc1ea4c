"""The contract of an experiment: what is trained, how it is updated, what is measured and drawn."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators import Estimate, Estimator
from hnca.experiments.data.images import Images
from hnca.experiments.store import Row
from hnca.network import Network

Measures = Mapping[str, Float[Array, ""]]


class Credited(NamedTuple):
    """An estimate, and what it is an estimate of.

    Attributes:
        network: whose layers are credited.
        estimate: what the estimator returned.
        credits: all that the gradient by each layer's logits has: the estimator's credits and the direct part.
        gradient: by everything that is trained, a pytree like it.
    """

    network: Network
    estimate: Estimate
    credits: Mapping[str, Array]
    gradient: PyTree


class Experiment(ABC):
    """An experiment. What it trains is a pytree of modules; everything else is arrays in a `TrainingState`.

    Attributes:
        name: on the command line and in the rows.
        units: what its layers are called: "hidden" or "latent".
        train_fields: what an update measures beside `gradient_variance`.
        test_fields: what `test` measures.
        headings: of the table's columns, by field.
        digits: decimals of what is shown.
    """

    name: str
    units: str
    train_fields: tuple[str, ...]
    test_fields: tuple[str, ...]
    headings: Mapping[str, str]
    digits: int

    @abstractmethod
    def build(self, layers: int, key: Key[Array, ""]) -> PyTree:
        """Returns what is trained, with `layers` stochastic hidden layers, freshly drawn."""

    @abstractmethod
    def estimator_state(self, trained: PyTree, method: Estimator) -> PyTree:
        """Returns the estimator's state before the first update."""

    @abstractmethod
    def estimate(
        self,
        trained: PyTree,
        method: Estimator,
        batch: Images,
        keys: tuple[Key[Array, ""], Key[Array, ""]],
        state: PyTree,
    ) -> Credited:
        """Returns an estimate of the gradient from one pass over a batch.

        Args:
            trained: the modules.
            method: the estimator.
            batch: binarised images and their labels.
            keys: for the pass, and for the estimator.
            state: the estimator's.
        """

    @abstractmethod
    def test(self, trained: PyTree, images: Images, key: Key[Array, ""]) -> Measures:
        """Returns `test_fields`, measured on the test images."""

    @abstractmethod
    def identity(self, method: str) -> Row:
        """Returns the fields that say in a row which estimator it was."""

    @abstractmethod
    def figures(self, rows: Sequence[Row]) -> tuple[int, ...]:
        """Returns the numbers of the paper's figures that these rows are for."""

    def draw_pictures(self, trained: PyTree, images: Images, directory: Path) -> list[Path]:
        """Draws what one trained network makes of images, if anything, and returns the paths."""
        return []
