"""What an auto-encoder learns from where that is not the bound itself: weighted divergences, free bits."""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.experiments.auto_encoder.free_bits import FreeBits
from hnca.experiments.auto_encoder.networks import AutoEncoder, scores_input
from hnca.experiments.settings.recipe import RecipeSettings
from hnca.objectives import ELBO, Component, LogProb, Objective, Weighted


def kl_weight(recipe: RecipeSettings, epochs: Float[Array, ""]) -> Float[Array, ""]:
    """Returns the weight of the divergence after so many whole epochs."""
    first = jnp.asarray(recipe.first_kl_weight, epochs.dtype)
    held = epochs - recipe.kl_hold
    if recipe.kl_warm_up:
        return first + (1 - first) * jnp.clip(held / recipe.kl_warm_up, 0, 1)
    return jnp.where(held < 0, first, 1) if recipe.kl_hold else first


def learned_objective(trained: AutoEncoder, weight: Float[Array, ""], free_bits: float) -> Objective:
    """Returns the bound with its divergence weighted, every unit's first `free_bits` nats of it free.

    Args:
        trained: the encoder, and the bound.
        weight: of all but what scores the input.
        free_bits: in nats; 0 for none.

    Raises:
        ValueError: with free bits, if there is more than one latent layer.
    """
    encoder, bound = trained

    def terms() -> Iterator[Component]:
        for term in bound.components:
            if isinstance(term, LogProb) and scores_input(term, encoder):
                yield term
            elif not free_bits:
                yield Weighted(term, weight)
            elif isinstance(term, LogProb):
                yield Weighted(FreeBits(encoder, term.layer, term.value_name, free_bits), weight)

    return Objective(*terms())


def gradient_like(bound: ELBO, gradient: Objective) -> ELBO:
    """Returns the gradient by what is learned from as one by the bound, whose parameters are the same."""
    learned = [term.component if isinstance(term, Weighted) else term for term in gradient.components]
    layers = [
        term.prior if isinstance(term, FreeBits) else term.layer
        for term in learned
        if isinstance(term, LogProb | FreeBits)
    ]
    return eqx.tree_at(lambda of: [term.layer for term in of.components if isinstance(term, LogProb)], bound, layers)


def labelled(parameters: AutoEncoder) -> AutoEncoder:
    """Returns the same tree with a word for every array: whether it is of the encoder, the decoder, or the prior."""
    encoder, bound = parameters

    def prior(of: ELBO) -> LogProb:
        (found,) = [term for term in of.components if isinstance(term, LogProb) and not term.layer.conditional.parents]
        return found

    words = jax.tree.map(lambda _: "decoder", bound)
    of_prior = jax.tree.map(lambda _: "prior", prior(words))
    return jax.tree.map(lambda _: "encoder", encoder), eqx.tree_at(prior, words, of_prior)
