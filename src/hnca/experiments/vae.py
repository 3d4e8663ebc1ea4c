"""Images by hierarchical variational auto-encoders with binary latent layers (Young 2022, Section 2).

Latent units are 0 or 1, pixels 0 or 1 and binarised anew each epoch, entropies analytic, the prior of the deepest
layer learned. Encoder and decoder are trained together, the decoder by its ordinary gradient.
"""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from hnca.estimators import Estimator, direct_credits
from hnca.experiments.auto_encoders import AutoEncoder, EntropyKind, Joint, auto_encoder
from hnca.experiments.experiment import Credited, Experiment, Measures
from hnca.experiments.figures import is_ablation
from hnca.experiments.images import Images
from hnca.experiments.likelihood import test_likelihood
from hnca.experiments.pictures import Grid, draw_reconstructions, draw_samples
from hnca.experiments.records import Row


class VAE(Experiment):
    """Hierarchical auto-encoders trained on the evidence lower bound."""

    name = "vae"
    units = "latent"
    train_fields = ("train_elbo",)
    test_fields = ("test_elbo", "test_bound")
    headings = {  # noqa: RUF012
        "train_elbo": "train ELBO",
        "test_elbo": "test ELBO",
        "test_bound": "test bound",
        "log_gradient_variance": "ln variance",
    }
    digits = 2

    def __init__(
        self,
        width: int,
        bound_samples: int,
        encoder: Joint = "linear",
        decoder: Joint = "linear",
        entropy: EntropyKind = "analytic",
        image_shape: tuple[int, int] = (28, 28),
    ):
        self._image_shape = image_shape
        self._width, self._bound_samples, self._entropy = width, bound_samples, entropy
        self._joints: tuple[Joint, Joint] = encoder, decoder

    def build(self, layers: int, key: Key[Array, ""]) -> AutoEncoder:
        return auto_encoder(layers, self._width, key, *self._joints, self._entropy, self._image_shape)

    def estimator_state(self, trained: AutoEncoder, method: Estimator) -> PyTree:
        return method.init(*trained)

    def estimate(
        self,
        trained: AutoEncoder,
        method: Estimator,
        batch: Images,
        keys: tuple[Key[Array, ""], Key[Array, ""]],
        state: PyTree,
    ) -> Credited:
        encoder, objective = trained
        trace = encoder.sample(keys[0], {"image": batch.pixels})
        estimate = method(encoder, objective, trace, key=keys[1], state=state)
        direct = direct_credits(encoder, objective, estimate.trace, estimate.weights)
        credits = jax.tree.map(jnp.add, estimate.credits, direct)
        return Credited(encoder, estimate, credits, (estimate.gradient, estimate.objective_gradient))

    def test(self, trained: AutoEncoder, images: Images, key: Key[Array, ""]) -> Measures:
        elbo, bound = test_likelihood(*trained, images, self._bound_samples, key)
        return {"test_elbo": elbo, "test_bound": bound}

    def identity(self, method: str) -> Row:
        encoder, decoder = self._joints
        return {"estimator": method, "encoder": encoder, "decoder": decoder, "entropy": self._entropy}

    def figures(self, rows: Sequence[Row]) -> tuple[int, ...]:
        return (3, 6) if any(map(is_ablation, rows)) else (3,)

    def draw_pictures(self, trained: AutoEncoder, images: Images, directory: Path) -> list[Path]:
        encoder, objective = trained
        grid = Grid(self._image_shape)
        reconstructions = directory / "reconstructions.png"
        return [
            draw_samples(objective.decoder, jax.random.key(0), directory / "samples.png", grid),
            draw_reconstructions(encoder, objective.decoder, images, jax.random.key(1), reconstructions, grid),
        ]
