"""The lower half of an image given its upper half, by a stochastic feedforward network: structured prediction.

The upper half sets the logits of a first layer of Bernoulli units, these of the next one, and the last one's those of
the lower half's pixels: `p(y | x) = sum_h p(h | x) p(y | h)`. Units are 0 or 1, pixels 0 or 1 and binarised anew each
epoch. What is learned from is `E[log p(y | h)]` under `p(h | x)`, the bound of one sample, or, with estimators of such,
that of several, `E[log 1/K sum_k p(y | h_k)]`. Neither is above `log p(y | x)`.

Sources: Tang and Salakhutdinov, *Learning stochastic feedforward neural networks*, 2013; Raiko, Berglund, Alain and
Dinh, *Techniques for learning binary stochastic feedforward neural networks*, 2015; Gu, Levine, Sutskever and Mnih,
*MuProp*, 2016.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Num, PyTree

from hnca.conditionals import Dense
from hnca.estimators import Estimator
from hnca.experiments.data import Facts
from hnca.experiments.data.images import Images, binarise, largest_divisor
from hnca.experiments.experiment import Credited, Experiment, Measures, Panels, straight_through
from hnca.experiments.methods import estimator_of
from hnca.experiments.store import Row
from hnca.network import Network
from hnca.objectives import LogProb, Objective
from hnca.units import Bernoulli, Layer

Predictor = tuple[Network, Objective]
"""The hidden layers, and the log-probability of the lower half given the last of them."""

_IMAGES_AT_A_TIME = 100
_SAMPLES_AT_A_TIME = 10


class Completion(Experiment):
    """Stochastic feedforward networks that complete images."""

    name = "complete"
    units = "hidden"
    train_fields = ("train_bound",)
    test_fields = ("test_bound", "test_log_likelihood")
    headings = {  # noqa: RUF012
        "train_bound": "train bound",
        "test_bound": "test bound",
        "test_log_likelihood": "test log p(y|x)",
        "log_gradient_variance": "ln variance",
    }
    digits = 2
    panels = {  # noqa: RUF012
        # No figure of the paper's; the number after its last.
        7: Panels("train_bound", "test_log_likelihood", "log-probability (nats)", "Completion of half images"),
    }
    reference = "loo-hnca"

    def __init__(self, width: int, samples: int, test_samples: int, image_shape: tuple[int, int] = (28, 28)):
        self._width, self._samples, self._test_samples = width, samples, test_samples
        self._image_shape = image_shape

    @classmethod
    def of(cls, settings: Any, facts: Facts) -> "Completion":
        height, width = facts.image_shape
        if height < 2:
            shown = f"images of {height} by {width} pixels"
            raise ValueError(f"--dataset {facts.name}: {shown}; expected at least two rows, to be halved")
        return cls(settings.width, settings.samples, settings.test_samples, facts.image_shape)

    def build(self, layers: int, key: Key[Array, ""]) -> Predictor:
        return predictor(layers, self._width, key, self._image_shape)

    def problem(self, trained: Predictor) -> Predictor:
        return trained

    def estimator(self, name: str) -> Estimator:
        return estimator_of(name, self._samples)

    def estimate(
        self,
        trained: Predictor,
        estimator: Estimator,
        batch: Images,
        keys: tuple[Key[Array, ""], Key[Array, ""]],
        state: PyTree,
    ) -> Credited:
        network, objective = trained
        trace = network.sample(keys[0], self._halves(batch.pixels))
        estimate = estimator(network, objective, trace, key=keys[1], state=state)
        return Credited(network, estimate, estimate.credits, (estimate.gradient, estimate.objective_gradient), {})

    def test(self, trained: Predictor, images: Images, key: Key[Array, ""]) -> Measures:
        """The mean over some samples of `log p(y | h)`, and the logarithm of the mean of `p(y | h)`, of the same."""
        size = largest_divisor(len(images.pixels), _IMAGES_AT_A_TIME)

        def chunk(part: tuple[Array, Key[Array, ""]]) -> tuple[Array, Array]:
            pixels, part_key = part
            binarise_key, sample_key = jax.random.split(part_key)
            halves = self._halves(binarise(binarise_key, pixels))
            found = log_likelihoods(trained, halves, self._test_samples, sample_key)
            return found, jax.nn.logsumexp(found, axis=0) - math.log(self._test_samples)

        parts = images.pixels.reshape(-1, size, images.pixels.shape[-1])
        means = jax.tree.map(jnp.mean, jax.lax.map(chunk, (parts, jax.random.split(key, len(parts)))))
        return dict(zip(self.test_fields, means, strict=True))

    def differentiable(self, trained: Predictor, batch: Images, key: Key[Array, ""]) -> Float[Array, ""]:
        network, objective = trained
        return jnp.mean(objective.value(network, straight_through(network, key, self._halves(batch.pixels))))

    def identity(self) -> dict[str, str]:
        return {}

    @classmethod
    def figures(cls, rows: Sequence[Row]) -> tuple[int, ...]:  # noqa: ARG003 - one shows all
        return (7,)

    def draw_pictures(self, trained: Predictor, images: Images, directory: Path) -> list[Path]:
        # Here, since a trained network can be loaded without what draws.
        from hnca.experiments.figures.pictures import Grid, draw_completions

        def complete(key: Key[Array, ""], pixels: Num[Array, "images pixels"]) -> Float[Array, "images pixels"]:
            """Returns the images with the lower halves' probabilities given one sample in their places."""
            network, (likelihood,) = trained[0], trained[1].components
            assert isinstance(likelihood, LogProb)
            halves = self._halves(pixels)
            logits = likelihood.logits(network, network.sample(key, halves))
            return jnp.concatenate([halves["upper"], likelihood.layer.mean(logits)], axis=-1)

        path = directory / "completions.png"
        return [draw_completions(complete, images, jax.random.key(0), path, Grid(self._image_shape))]

    def _halves(self, pixels: Num[Array, "*batch pixels"]) -> dict[str, Num[Array, "*batch half"]]:
        size = _upper_size(self._image_shape)
        return {"upper": pixels[..., :size], "lower": pixels[..., size:]}


def predictor(layers: int, width: int, key: Key[Array, ""], image_shape: tuple[int, int] = (28, 28)) -> Predictor:
    """Returns a network of `layers` layers of `width` units of 0 or 1 above each other, and what the last one predicts.

    Its inputs are the `upper` rows of an image, half of them rounded down, and the `lower` ones, which are predicted.
    """
    *keys, last_key = jax.random.split(key, layers + 1)
    upper = _upper_size(image_shape)
    lower = math.prod(image_shape) - upper
    hidden: dict[str, Layer] = {}
    parent, size = "upper", upper
    for place, layer_key in enumerate(keys, start=1):
        name = f"hidden{place}"
        hidden[name] = Bernoulli(Dense(parent, size, width, key=layer_key))
        parent, size = name, width
    network = Network(hidden, inputs={"upper": upper, "lower": lower})
    likelihood = Bernoulli(Dense(parent, size, lower, key=last_key))
    return network, Objective(LogProb(likelihood, "lower", inputs=("lower",)))


def log_likelihoods(
    trained: Predictor, halves: dict[str, Array], samples: int, key: Key[Array, ""]
) -> Float[Array, " samples *batch"]:
    """Returns `log p(y | h_k)` in nats for every example, with `h_k` from the network; a few are held at a time.

    Args:
        trained: the network, and the log-probability.
        halves: `upper` and `lower`, `[*batch, pixels]` each.
        samples: how many.
        key: for the samples.
    """
    network, objective = trained

    def one(sample_key: Key[Array, ""]) -> Float[Array, "*batch"]:
        return objective.value(network, network.sample(sample_key, halves))

    return jax.lax.map(one, jax.random.split(key, samples), batch_size=min(samples, _SAMPLES_AT_A_TIME))


def _upper_size(image_shape: tuple[int, int]) -> int:
    height, width = image_shape
    return height // 2 * width
