"""The contract of an experiment: what is trained, how it is updated, what is measured and drawn."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from hnca.data.binarise import binarise
from hnca.estimators import Estimate, Estimator
from hnca.experiments.images import Images
from hnca.experiments.records import Row
from hnca.network import Network
from hnca.training import TrainingState, apply_gradient
from hnca.variance import mean_gradient_variance

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
        """Learns from one batch and returns the new state, the first of `train_fields` and `gradient_variance`.

        Args:
            static: what of the trained modules is no array of numbers to learn.
            method: the estimator.
            optimiser: goes uphill.
            images: all of the training images.
            state: before the update.
            batch: indices of the images.
            key: for binarisation, samples and the estimator.
        """
        binarise_key, *keys = jax.random.split(key, 3)
        trained = eqx.combine(state.parameters, static)
        binary = Images(binarise(binarise_key, images.pixels[batch]), images.labels[batch])
        network, estimate, credits, gradient = self.estimate(trained, method, binary, tuple(keys), state.estimator)
        variance = mean_gradient_variance(network, estimate.trace, credits, estimate.gradient, estimate.passes)
        measures = {self.train_fields[0]: jnp.mean(estimate.value), "gradient_variance": variance}
        parameters = eqx.filter(gradient, eqx.is_inexact_array)
        return apply_gradient(state, parameters, estimate.state, optimiser), measures

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
