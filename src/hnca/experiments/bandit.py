"""MNIST as a contextual bandit: an image comes, the network acts, and only the reward of that action is seen.

Young 2022, Section 1.3 and Appendix E: hidden units are -1 or 1, pixels 0 or 1 and binarised anew each epoch, the
reward is 1 for the image's label and 0 for any other action.
"""

from collections.abc import Sequence
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from hnca.data.binarise import binarise
from hnca.estimators import Estimator
from hnca.experiments.agents import Torso, agent
from hnca.experiments.experiment import Experiment, Measures
from hnca.experiments.figures import draw_figure_1, draw_figure_5
from hnca.experiments.images import Images
from hnca.experiments.records import Row
from hnca.network import Network
from hnca.objectives import Objective, Reward
from hnca.training import TrainingState, apply_gradient
from hnca.variance import mean_gradient_variance

_TEST_CHUNKS = 10


class Bandit(Experiment):
    """Agents that learn MNIST from rewards alone."""

    name = "bandit"
    units = "hidden"
    train_fields = ("train_accuracy",)
    test_fields = ("test_accuracy",)
    headings = {  # noqa: RUF012
        "train_accuracy": "train accuracy",
        "test_accuracy": "test accuracy",
        "log_gradient_variance": "ln variance",
    }
    digits = 4

    def __init__(self, width: int, torso: Torso = "none"):
        self._width, self._torso = width, torso

    def build(self, layers: int, key: Key[Array, ""]) -> Network:
        return agent(layers, self._width, key, self._torso)

    def estimator_state(self, trained: Network, method: Estimator) -> PyTree:
        return method.init(trained, Objective(Reward("action", jnp.zeros(()))))

    def update(
        self,
        static: Network,
        method: Estimator,
        optimiser: optax.GradientTransformation,
        images: Images,
        state: TrainingState,
        batch: Int[Array, " batch"],
        key: Key[Array, ""],
    ) -> tuple[TrainingState, Measures]:
        binarise_key, sample_key, estimator_key = jax.random.split(key, 3)
        network = eqx.combine(state.parameters, static)
        pixels = binarise(binarise_key, images.pixels[batch])
        trace = network.sample(sample_key, {"image": pixels})
        reward = (trace["action"][:, 0] == images.labels[batch]).astype(network.dtype)
        estimate = method(network, Reward("action", reward), trace, key=estimator_key, state=state.estimator)
        variance = mean_gradient_variance(network, trace, estimate.credits, estimate.gradient)
        gradient = eqx.filter(estimate.gradient, eqx.is_inexact_array)
        measures = {"train_accuracy": jnp.mean(reward), "gradient_variance": variance}
        return apply_gradient(state, gradient, estimate.state, optimiser), measures

    def test(self, trained: Network, images: Images, key: Key[Array, ""]) -> Measures:
        return {"test_accuracy": sampled_accuracy(trained, images, key)}

    def identity(self, method: str) -> Row:
        kind, plus, _ = method.partition("+")
        return {"estimator": kind, "baseline": "running mean" if plus else "none", "torso": self._torso}

    def draw_figures(self, rows: Sequence[Row], directory: Path) -> list[Path]:
        return draw_figure_5(rows, directory) if self._torso == "conv" else draw_figure_1(rows, directory)


def sampled_accuracy(network: Network, images: Images, key: Key[Array, ""]) -> Float[Array, ""]:
    """Returns the share of sampled actions that are right, a tenth of the images at a time."""

    def chunk(part: tuple[Images, Key[Array, ""]]) -> Float[Array, ""]:
        (pixels, labels), part_key = part
        binarise_key, sample_key = jax.random.split(part_key)
        trace = network.sample(sample_key, {"image": binarise(binarise_key, pixels)})
        return jnp.mean((trace["action"][:, 0] == labels).astype(network.dtype))

    chunks = jax.tree.map(lambda a: a.reshape(_TEST_CHUNKS, -1, *a.shape[1:]), images)
    return jnp.mean(jax.lax.map(chunk, (chunks, jax.random.split(key, _TEST_CHUNKS))))
