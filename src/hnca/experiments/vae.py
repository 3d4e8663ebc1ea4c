"""Images by hierarchical variational auto-encoders with discrete latent layers (Young 2022, Section 2).

Latent units are 0 or 1, if not of several categories, pixels 0 or 1 and binarised anew each epoch, entropies analytic,
the prior of the deepest layer learned. Encoder and decoder are trained together, the decoder by its ordinary gradient.
"""

import copy
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators import Estimator, direct_credits
from hnca.experiments.auto_encoder.bounds import bound_parts, test_measures
from hnca.experiments.auto_encoder.learned import gradient_like, kl_weight, labelled, learned_objective
from hnca.experiments.auto_encoder.networks import (
    AutoEncoder,
    EntropyKind,
    Joint,
    auto_encoder,
    centred,
    with_means,
    with_output_bias,
    with_scaled_logits,
)
from hnca.experiments.data import Facts
from hnca.experiments.data.images import Images
from hnca.experiments.experiment import Credited, Experiment, Measures, Panels, straight_through
from hnca.experiments.methods import is_ablation
from hnca.experiments.optimisers import ascent
from hnca.experiments.settings.optimiser import OptimiserSettings
from hnca.experiments.settings.recipe import RecipeSettings, recipe_of_networks
from hnca.experiments.store import Row

_PARTS = ("reconstruction", "kl")


def _is_ablation(row: Row) -> bool:
    return is_ablation(row.estimator)


def _panels(note: str, shows: Callable[[Row], bool]) -> Panels:
    return Panels("train_elbo", "test_elbo", "ELBO (nats)", note, shows)


class VAE(Experiment):
    """Hierarchical auto-encoders trained on the evidence lower bound."""

    name = "vae"
    units = "latent"
    train_fields = ("train_elbo",)
    test_fields = ("test_elbo", "test_bound")
    further_fields = (*(f"{of}_{part}" for of in ("train", "test") for part in _PARTS), "test_active_units")
    headings = {  # noqa: RUF012
        "train_elbo": "train ELBO",
        "test_elbo": "test ELBO",
        "test_bound": "test bound",
        "log_gradient_variance": "ln variance",
    }
    digits = 2
    panels = {  # noqa: RUF012
        3: _panels("VAE", lambda row: not _is_ablation(row)),
        6: _panels("VAE, ablations of HNCA", lambda row: row.estimator.startswith("hnca")),
    }
    reference = "loo-hnca"

    def __init__(
        self,
        width: int,
        bound_samples: int,
        encoder: Joint = "linear",
        decoder: Joint = "linear",
        entropy: EntropyKind = "analytic",
        image_shape: tuple[int, int] = (28, 28),
        recipe: RecipeSettings = RecipeSettings(),  # noqa: B008 - it cannot be changed
        categories: int | None = None,
    ):
        self._categories = categories
        self._values = (-1, 1) if recipe.latent_values == "signs" else (0, 1)
        self._recipe = recipe
        self._kl_weight: Float[Array, ""] | None = None  # while the bound itself is learned from
        self._image_shape = image_shape
        self._width, self._bound_samples, self._entropy = width, bound_samples, entropy
        self._joints: tuple[Joint, Joint] = encoder, decoder

    @classmethod
    def of(cls, settings: Any, facts: Facts) -> "VAE":
        joints = settings.encoder, settings.decoder
        recipe = settings if isinstance(settings, RecipeSettings) else recipe_of_networks(vars(settings))
        shape, categories = facts.image_shape, getattr(settings, "categories", None)
        return cls(settings.width, settings.bound_samples, *joints, settings.entropy, shape, recipe, categories)

    def build(self, layers: int, key: Key[Array, ""]) -> AutoEncoder:
        kinds = *self._joints, self._entropy, self._image_shape, self._categories, self._values
        built = auto_encoder(layers, self._width, key, *kinds)
        recipe = self._recipe
        if recipe.encoder_scale != 1:
            built = with_scaled_logits(built, recipe.encoder_scale)
        return centred(built, jnp.zeros(math.prod(self._image_shape))) if recipe.centred else built

    def started(self, trained: AutoEncoder, images: Images) -> AutoEncoder:
        recipe = self._recipe
        if recipe.output_bias == "zero" and not recipe.centred:
            return trained
        means = jnp.mean(images.pixels.astype(jnp.result_type(float)), axis=0) / 255
        if recipe.output_bias == "data":
            trained = with_output_bias(trained, means)
        return with_means(trained, means) if recipe.centred else trained

    def at(self, epochs: Float[Array, ""]) -> "VAE":
        if self._recipe.learns_bound:
            return self
        later = copy.copy(self)
        later._kl_weight = kl_weight(self._recipe, epochs)
        return later

    def optimiser(self, settings: OptimiserSettings, updates: int) -> optax.GradientTransformation:
        recipe = self._recipe
        own_rates = recipe.encoder_rate, recipe.decoder_rate, recipe.prior_rate
        if own_rates == (None, None, None) and recipe.prior == "trained":
            return ascent(settings, updates=updates)
        decoder = ascent(settings, recipe.decoder_rate, updates)
        prior = decoder if recipe.prior_rate is None else optax.scale(recipe.prior_rate)
        groups = {
            "encoder": ascent(settings, recipe.encoder_rate, updates),
            "decoder": decoder,
            "prior": optax.set_to_zero() if recipe.prior == "fixed" else prior,
        }
        return optax.partition(groups, labelled)

    def problem(self, trained: AutoEncoder) -> AutoEncoder:
        return trained

    def estimate(
        self,
        trained: AutoEncoder,
        estimator: Estimator,
        batch: Images,
        keys: tuple[Key[Array, ""], Key[Array, ""]],
        state: PyTree,
    ) -> Credited:
        encoder, bound = trained
        weight = self._kl_weight
        objective = bound if weight is None else learned_objective(trained, weight, self._recipe.free_bits)
        trace = encoder.sample(keys[0], {"image": batch.pixels})
        estimate = estimator(encoder, objective, trace, key=keys[1], state=state)
        direct = direct_credits(encoder, objective, estimate.trace, estimate.weights)
        credits = jax.tree.map(jnp.add, estimate.credits, direct)
        by_objective = estimate.objective_gradient
        gradient = by_objective if weight is None else gradient_like(bound, by_objective)
        measured = bound_parts(trained, estimate.trace)
        # What the bound's estimators train on may be another one, of several samples, which is then what is told.
        told = _PARTS if weight is None else ("elbo", *_PARTS)
        measures = {f"train_{part}": measured[part] for part in told}
        return Credited(encoder, estimate, credits, (estimate.gradient, gradient), measures)

    def test(self, trained: AutoEncoder, images: Images, key: Key[Array, ""]) -> Measures:
        measured = test_measures(trained, images, self._bound_samples, key)
        return {f"test_{name}": value for name, value in measured.items()}

    def differentiable(self, trained: AutoEncoder, batch: Images, key: Key[Array, ""]) -> Float[Array, ""]:
        encoder, objective = trained
        return jnp.mean(objective.value(encoder, straight_through(encoder, key, {"image": batch.pixels})))

    def identity(self) -> dict[str, str]:
        encoder, decoder = self._joints
        units = {} if self._categories is None else {"units": f"{self._categories} categories"}
        return {"encoder": encoder, "decoder": decoder, "entropy": self._entropy, **units}

    @classmethod
    def figures(cls, rows: Sequence[Row]) -> tuple[int, ...]:
        return (3, 6) if any(map(_is_ablation, rows)) else (3,)

    def draw_pictures(self, trained: AutoEncoder, images: Images, directory: Path) -> list[Path]:
        # Here, since a trained network can be loaded without what draws.
        from hnca.experiments.figures.pictures import Grid, draw_reconstructions, draw_samples

        encoder, objective = trained
        grid = Grid(self._image_shape)
        reconstructions = directory / "reconstructions.png"
        return [
            draw_samples(objective.decoder, jax.random.key(0), directory / "samples.png", grid),
            draw_reconstructions(encoder, objective.decoder, images, jax.random.key(1), reconstructions, grid),
        ]
