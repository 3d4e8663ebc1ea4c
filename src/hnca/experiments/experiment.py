"""The contract of an experiment: what is trained, how it is updated, what is measured and drawn."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import optax
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators import Estimate, Estimator
from hnca.experiments.data import Facts
from hnca.experiments.data.images import Images
from hnca.experiments.methods import estimator_of
from hnca.experiments.optimisers import ascent
from hnca.experiments.settings.optimiser import OptimiserSettings
from hnca.experiments.store import Row
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective
from hnca.units import Categorical

Measures = Mapping[str, Float[Array, ""]]


class Panels(NamedTuple):
    """What a figure of an experiment shows, one column a depth: performance above, variance below.

    Attributes:
        train_field: drawn solid, with bands.
        test_field: drawn dotted, at the epochs where it was measured.
        performance: the label of the upper axes.
        note: what the figure is of.
        shows: whether it shows a row.
    """

    train_field: str
    test_field: str
    performance: str
    note: str
    shows: Callable[[Row], bool] = lambda _: True


class Credited(NamedTuple):
    """An estimate, and what it is an estimate of.

    Attributes:
        network: whose layers are credited.
        estimate: what the estimator returned.
        credits: all that the gradient by each layer's logits has: the estimator's credits and the direct part.
        gradient: by everything that is trained, a pytree like it.
        measures: what is to be told of the batch, by field: the experiment's `train_fields` and of the further ones.
    """

    network: Network
    estimate: Estimate
    credits: Mapping[str, Array]
    gradient: PyTree
    measures: Measures


class Experiment(ABC):
    """An experiment. What it trains is a pytree of modules; everything else is arrays in a `TrainingState`.

    Attributes:
        name: on the command line and in the rows.
        units: what its layers are called: "hidden" or "latent".
        train_fields: what an update measures beside `gradient_variance`.
        test_fields: what `test` measures.
        further_fields: what either measures besides; written, but neither shown nor missed in what was written before.
        headings: of the table's columns, by field.
        digits: decimals of what is shown.
        panels: of its figures, by their numbers in the paper.
        reference: the estimator whose mean stands for the true gradient: unbiased, and of low variance.
    """

    name: str
    units: str
    train_fields: tuple[str, ...]
    test_fields: tuple[str, ...]
    further_fields: tuple[str, ...] = ()
    headings: Mapping[str, str]
    digits: int
    panels: Mapping[int, Panels]
    reference: str

    @classmethod
    @abstractmethod
    def of(cls, settings: Any, facts: Facts) -> "Experiment":
        """Returns the experiment that these settings are for.

        Args:
            settings: its own, or whatever has the same attributes.
            facts: of the data.

        Raises:
            ValueError: if the data are not fit for it.
        """

    @abstractmethod
    def build(self, layers: int, key: Key[Array, ""]) -> PyTree:
        """Returns what is trained, with `layers` stochastic hidden layers, freshly drawn."""

    @abstractmethod
    def problem(self, trained: PyTree) -> tuple[Network, Objective | Component]:
        """Returns the network, and an objective like the one that `estimate` credits it for, of any value."""

    def started(self, trained: PyTree, images: Images) -> PyTree:
        """Returns what is trained as it begins on these images, if it depends on them."""
        return trained

    def at(self, epochs: Float[Array, ""]) -> "Experiment":
        """Returns the experiment as an update has it after so many whole epochs: its objective may change with them."""
        return self

    def optimiser(self, settings: OptimiserSettings, updates: int) -> optax.GradientTransformation:
        """Returns what makes a step of a gradient, uphill.

        Args:
            settings: which, and its rates.
            updates: how many an epoch has.
        """
        return ascent(settings, updates=updates)

    def estimator(self, name: str) -> Estimator:
        """Returns the estimator of that name, as it is used here."""
        return estimator_of(name)

    def estimator_state(self, trained: PyTree, estimator: Estimator) -> PyTree:
        """Returns the estimator's state before the first update."""
        return estimator.init(*self.problem(trained))

    def reevaluations(self, trained: PyTree, estimator: Estimator) -> int:
        """Returns how many counterfactuals the estimator evaluates beside what it costs on any objective."""
        return estimator.reevaluations(*self.problem(trained))

    @abstractmethod
    def estimate(
        self,
        trained: PyTree,
        estimator: Estimator,
        batch: Images,
        keys: tuple[Key[Array, ""], Key[Array, ""]],
        state: PyTree,
    ) -> Credited:
        """Returns an estimate of the gradient from one pass over a batch.

        Args:
            trained: the modules.
            estimator: the estimator.
            batch: binarised images and their labels.
            keys: for the pass, and for the estimator.
            state: the estimator's.
        """

    @abstractmethod
    def test(self, trained: PyTree, images: Images, key: Key[Array, ""]) -> Measures:
        """Returns `test_fields`, measured on the test images."""

    @abstractmethod
    def differentiable(self, trained: PyTree, batch: Images, key: Key[Array, ""]) -> Float[Array, ""]:
        """Returns the objective's mean over a batch, to be differentiated through samples as if they were means.

        It may know more than `estimate` does, such as the right actions: it is what an update is timed against.
        """

    @abstractmethod
    def identity(self) -> dict[str, str]:
        """Returns the words that say in a row which network it was, beside its depth."""

    @classmethod
    @abstractmethod
    def figures(cls, rows: Sequence[Row]) -> tuple[int, ...]:
        """Returns the numbers of those figures that these rows are for."""

    def draw_pictures(self, trained: PyTree, images: Images, directory: Path) -> list[Path]:
        """Draws what one trained network makes of images, if anything, and returns the paths."""
        return []


def straight_through(network: Network, key: Key[Array, ""], inputs: dict[str, Array]) -> Trace:
    """Samples a network, with the derivative of each sample taken to be that of its mean."""
    keys = network.layer_keys(key)

    def take(name: str, logits: Float[Array, "*logits"]) -> Array:
        layer = network.layers[name]
        sample = layer.sample(keys[name], logits)
        if isinstance(layer, Categorical):
            mean, sample = jax.nn.softmax(logits), layer.point(sample, logits.dtype)
        else:
            mean = layer.mean(logits)
        return mean + jax.lax.stop_gradient(sample - mean)

    return network.forward_pass(take, inputs, next(iter(inputs.values())).shape[:-1])
