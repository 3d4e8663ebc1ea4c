"""A small experiment, as somebody else would add one: units learn to be as the first pixel is."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

import hnca
from hnca.experiments.data.images import binarise
from hnca.experiments.experiment import Credited, Experiment, Panels, straight_through
from hnca.experiments.methods import names
from hnca.experiments.settings import TrainingSettings
from hnca.experiments.settings._checks import check_names


@dataclass(frozen=True)
class ToySettings(TrainingSettings):
    """Units learn to be as the first pixel is."""

    experiment: ClassVar[str] = "toy"
    learns_from: ClassVar[frozenset[str]] = frozenset({"reward"})

    estimators: tuple[str, ...] = ("hnca",)
    """Estimators to compare."""

    def __post_init__(self):
        super().__post_init__()
        check_names("estimators", self.estimators, names(self.learns_from))

    @property
    def all_estimators(self):
        return self.estimators


class Toy(Experiment):
    """Units learn to be as the first pixel is."""

    name = "toy"
    units = "toy"
    train_fields = ("train_likeness",)
    test_fields = ("test_likeness",)
    headings = {"train_likeness": "train likeness", "test_likeness": "test likeness"}  # noqa: RUF012
    digits = 3
    panels = {9: Panels("train_likeness", "test_likeness", "likeness", "Toy")}  # noqa: RUF012
    reference = "hnca"

    def __init__(self, width, pixels):
        self._width, self._pixels = width, pixels

    @classmethod
    def of(cls, settings, facts):
        height, width = facts.image_shape
        return cls(settings.width, height * width)

    def build(self, layers, key):
        keys, parent, size, network = jax.random.split(key, layers), "image", self._pixels, {}
        for depth in range(layers):
            name = "last" if depth == layers - 1 else f"toy{depth}"
            network[name] = hnca.Bernoulli(hnca.Dense(parent, size, self._width, key=keys[depth]))
            parent, size = name, self._width
        return hnca.Network(network, inputs={"image": self._pixels})

    def problem(self, trained):
        return trained, hnca.Reward("last", jnp.zeros(()))

    def estimate(self, trained, estimator, batch, keys, state):
        trace = trained.sample(keys[0], {"image": batch.pixels})
        likeness = jnp.mean(trace["last"] == batch.pixels[:, :1], axis=-1, dtype=jnp.float32)
        estimate = estimator(trained, hnca.Reward("last", likeness), trace, key=keys[1], state=state)
        return Credited(trained, estimate, estimate.credits, estimate.gradient, {})

    def test(self, trained, images, key):
        pixels = binarise(key, images.pixels)
        last = trained.sample(key, {"image": pixels})["last"]
        return {"test_likeness": jnp.mean(last == pixels[:, :1], dtype=jnp.float32)}

    def differentiable(self, trained, batch, key):
        trace = straight_through(trained, key, {"image": batch.pixels})
        return -jnp.mean(jnp.square(trace["last"] - batch.pixels[:, :1]))

    def identity(self):
        return {"colour": "red"}

    @classmethod
    def figures(cls, rows):
        return (9,)
