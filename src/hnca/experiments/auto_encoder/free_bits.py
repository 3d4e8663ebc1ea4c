"""A divergence of which every unit has so much for nothing."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.network import Network, Trace
from hnca.objectives import Component
from hnca.units import Layer


class FreeBits(Component):
    """`-sum_j max(nats, KL_j)`, in nats: KL_j the divergence of a layer's unit j from its prior, mean over the batch.

    A unit below that gets no gradient from its divergence. The layer and its prior read no other layers, so that the
    divergence is known and no sample is in it. The value of an example has its own divergences, or `nats` for the units
    that are below; the mean over the batch is the formula's.

    Source: Kingma et al., *Improved variational inference with inverse autoregressive flow*, 2016, Eq 15.

    Attributes:
        prior: gives the units' prior probabilities; its parameters are part of the objective.
        layer: the layer's name.
        nats: free for every unit.
        arguments: none.
    """

    prior: Layer
    layer: str = eqx.field(static=True)
    nats: float = eqx.field(static=True)
    arguments: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(self, network: Network, prior: Layer, layer: str, nats: float):
        """Args:
            network: where the layer is.
            prior: of as many Bernoulli units.
            layer: its name.
            nats: free for every unit.

        Raises:
            ValueError: if the layer or its prior reads another layer.
        """
        read = [*prior.conditional.parents, *network.layers[layer].conditional.parents]
        stochastic = [name for name in read if name in network.layers]
        if stochastic:
            raise ValueError(
                f"FreeBits: layer={layer!r} or its prior reads {stochastic!r}; expected neither to read a layer, since "
                "the divergence is then a random one."
            )
        self.prior, self.layer, self.nats = prior, layer, nats
        self.arguments, self.counterfactual, self.repeatable = (), True, True

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        logits = trace.logits[self.layer]
        prior = network.logits_of(self.prior, trace.values, trace.batch_shape, str(self))
        divergence = bernoulli_divergence(logits, jnp.broadcast_to(prior, logits.shape))
        batch = tuple(range(divergence.ndim - 1))
        pays = jax.lax.stop_gradient(jnp.mean(divergence, axis=batch, keepdims=True)) > self.nats
        return -jnp.sum(jnp.where(pays, divergence, jnp.asarray(self.nats, divergence.dtype)), axis=-1)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        raise NotImplementedError(f"{self}: reads no layer.")

    def __str__(self) -> str:
        return f"free bits({self.layer})"


def bernoulli_divergence(logits: Float[Array, "*shape"], prior: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns the divergence of a unit with the one logit from a unit with the other, in nats."""
    # log p(1) = -softplus(-logit) and log p(0) = -softplus(logit).
    difference = jax.nn.softplus(prior) - jax.nn.softplus(logits)
    return jax.nn.sigmoid(logits) * (logits - prior) + difference
