"""The contract of an experiment: what is trained, how it is updated, what is measured and drawn."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from hnca.estimators import Estimator
from hnca.experiments.images import Images
from hnca.experiments.records import Row
from hnca.training import TrainingState

Measures = Mapping[str, Float[Array, ""]]


class Experiment(ABC):
    """An experiment. What it trains is a pytree of modules; everything else is arrays in a `TrainingState`.

    Attributes:
        name: on the command line and in the rows.
        units: what its layers are called: "hidden" or "latent".
        train_fields: what `update` measures beside `gradient_variance`.
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
    def update(
        self,
        static: PyTree,
        method: Estimator,
        optimiser: optax.GradientTransformation,
        images: Images,
        state: TrainingState,
        batch: Int[Array, " batch"],
        key: Key[Array, ""],
    ) -> tuple[TrainingState, Measures]:
        """Learns from one batch and returns the new state, `train_fields` and `gradient_variance`.

        Args:
            static: what of the trained modules is no array of numbers to learn.
            method: the estimator.
            optimiser: goes uphill.
            images: all of the training images.
            state: before the update.
            batch: indices of the images.
            key: for binarisation, samples and the estimator.
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
