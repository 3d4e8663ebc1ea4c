"""Labelled images as a contextual bandit: an image comes, the network acts, and only the reward of that action is seen.

Young 2022, Section 1.3 and Appendix E: hidden units are -1 or 1, pixels 0 or 1 and binarised anew each epoch, the
reward is 1 for the image's label and 0 for any other action.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.data.binarise import binarise
from hnca.estimators import Estimator
from hnca.experiments.agents import Torso, agent
from hnca.experiments.estimators import kind_and_baseline
from hnca.experiments.experiment import Credited, Experiment, Measures
from hnca.experiments.images import Images, largest_divisor
from hnca.experiments.records import Row
from hnca.network import Network
from hnca.objectives import Objective, Reward

_TEST_CHUNKS = 10
"""At least so many, so that a tenth of the images is the most that is held at a time."""


class Bandit(Experiment):
    """Agents that learn labels from rewards alone."""

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

    def __init__(self, width: int, torso: Torso = "none", image_shape: tuple[int, int] = (28, 28), actions: int = 10):
        self._width, self._torso, self._image_shape, self._actions = width, torso, image_shape, actions

    def build(self, layers: int, key: Key[Array, ""]) -> Network:
        return agent(layers, self._width, key, self._torso, self._image_shape, self._actions)

    def estimator_state(self, trained: Network, method: Estimator) -> PyTree:
        return method.init(trained, Objective(Reward("action", jnp.zeros(()))))

    def estimate(
        self,
        trained: Network,
        method: Estimator,
        batch: Images,
        keys: tuple[Key[Array, ""], Key[Array, ""]],
        state: PyTree,
    ) -> Credited:
        trace = trained.sample(keys[0], {"image": batch.pixels})
        reward = (trace["action"][:, 0] == batch.labels).astype(trained.dtype)
        estimate = method(trained, Reward("action", reward), trace, key=keys[1], state=state)
        return Credited(trained, estimate, estimate.credits, estimate.gradient)

    def test(self, trained: Network, images: Images, key: Key[Array, ""]) -> Measures:
        return {"test_accuracy": sampled_accuracy(trained, images, key)}

    def identity(self, method: str) -> Row:
        kind, baseline = kind_and_baseline(method)
        return {"estimator": kind, "baseline": baseline, "torso": self._torso}

    def figures(self, rows: Sequence[Row]) -> tuple[int, ...]:
        return (5,) if self._torso == "conv" else (1,)


def sampled_accuracy(network: Network, images: Images, key: Key[Array, ""]) -> Float[Array, ""]:
    """Returns the share of sampled actions that are right, a tenth of the images or fewer at a time."""

    def chunk(part: tuple[Images, Key[Array, ""]]) -> Float[Array, ""]:
        (pixels, labels), part_key = part
        binarise_key, sample_key = jax.random.split(part_key)
        trace = network.sample(sample_key, {"image": binarise(binarise_key, pixels)})
        return jnp.mean((trace["action"][:, 0] == labels).astype(network.dtype))

    count = len(images.labels)
    parts = count // largest_divisor(count, max(1, count // _TEST_CHUNKS))
    chunks = jax.tree.map(lambda a: a.reshape(parts, -1, *a.shape[1:]), images)
    return jnp.mean(jax.lax.map(chunk, (chunks, jax.random.split(key, parts))))
