"""A log-likelihood or an entropy, as a component whose contrasts are messages of the layer that it is of."""

from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.conditionals import Dense
from hnca.messages import entropy_contrast_of, likelihood_contrast
from hnca.network import Network, Trace
from hnca.objectives import Component
from hnca.objectives._base import listed
from hnca.programs.components import TermComponent
from hnca.units import Bernoulli, Categorical, Layer


class LikelihoodComponent(Component):
    """`a * sum softplus(x) + b * sum x sigmoid(x)`, or `a * logsumexp(x)`, where `x` is affine in the draws it reads.

    The log-likelihood or the entropy of a Bernoulli or categorical layer. Its contrasts are messages of that layer. A
    Bernoulli layer's likelihood also holds what is linear in `x`, `sum c x`: the message has that at no cost.

    Attributes:
        layer: whose logits are `x`.
        weight: `a`: `[*batch]`, or a number where it is known beforehand.
        energy: `b`.
        linear: the terms `c x`, where `c` reads other draws than `x`; only where `a` is a number but 0 and `b` is 0.
        value_number: the number of `x`.
        arguments: the names of the draws.
        counterfactual: True.
        repeatable: True.
        draw: the draw whose logits `x` are; None for no draw's.
        name: what it is called in tables.
    """

    layer: Layer
    weight: Float[Array, "*batch"] | float
    linear: tuple[TermComponent, ...]
    energy: float = eqx.field(static=True)
    value_number: int = eqx.field(static=True)
    arguments: tuple[str, ...] = eqx.field(static=True)
    draw: str | None = eqx.field(static=True)
    name: str = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(
        self,
        layer: Layer,
        weight: Float[Array, "*batch"] | float,
        energy: float,
        draw: str | None,
        value_number: int,
        linear: tuple[TermComponent, ...] = (),
    ):
        """Args: see the class."""
        self.layer, self.weight, self.energy, self.draw = layer, weight, energy, draw
        self.linear, self.value_number = linear, value_number
        self.name = "entropy" if energy else "log-likelihood" if linear else "log-normaliser"
        read = (*layer.conditional.parents, *(name for term in linear for name in term.arguments))
        self.arguments = tuple(dict.fromkeys(read))
        self.counterfactual = self.repeatable = True

    @property
    def entropy_of(self) -> str | None:
        return self.draw if self._is_entropy else None

    @property
    def _is_entropy(self) -> bool:
        return bool(self.energy) and isinstance(self.weight, float) and self.weight == -self.energy

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        logits = self._logits(network, trace)
        weight = jnp.asarray(self.weight, logits.dtype)
        if isinstance(self.layer, Categorical):
            return weight * jnp.sum(jax.nn.logsumexp(logits, axis=-1), axis=-1)
        value = weight * jnp.sum(jax.nn.softplus(logits), axis=-1)
        if self.energy:
            value += jnp.asarray(self.energy, logits.dtype) * jnp.sum(logits * jax.nn.sigmoid(logits), axis=-1)
        for term in self.linear:
            value += jnp.sum(term.cofactor(network, trace, self.value_number).astype(logits.dtype) * logits, axis=-1)
        return value

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        if layer not in self.layer.conditional.parents:
            parts = [term.contrast(network, trace, layer) for term in self.linear if layer in term.arguments]
            return sum(parts[1:], parts[0])
        logits = self._logits(network, trace)
        if self._is_entropy:
            return self._entropies(logits, network, trace, layer)
        if self.linear:
            return self._likelihoods(logits, network, trace, layer)
        lowest = jnp.full(logits.shape[: len(trace.batch_shape) + 1], self.layer.alternative_values(logits.dtype)[0])
        # Of the lowest value the log-probability is -softplus(x), and x_0 - logsumexp(x).
        rest = -likelihood_contrast(self.layer, logits, lowest, network, trace, layer)
        if isinstance(self.layer, Categorical):
            rest = rest + self._contrast_of_first(network, trace, layer)
        weight = jnp.asarray(self.weight + self.energy, logits.dtype)
        total = weight.reshape(weight.shape + (1,) * (rest.ndim - weight.ndim) if weight.ndim else ()) * rest
        return total + self._entropies(logits, network, trace, layer) if self.energy else total

    def _likelihoods(self, logits: Array, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        """Returns `-a` times the contrast of the log-likelihood of `-c / a`, in which the message is linear."""
        scale = jnp.asarray(-cast(float, self.weight), logits.dtype)
        cofactors = [term.cofactor(network, trace, self.value_number).astype(logits.dtype) for term in self.linear]
        taken = sum(cofactors[1:], cofactors[0]) / scale
        return scale * likelihood_contrast(self.layer, logits, taken, network, trace, layer)

    def _entropies(self, logits: Array, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        """Returns what `x sigmoid(x)` and as much of softplus add: a multiple of the contrast of the entropy."""
        entropy = entropy_contrast_of(self.layer, logits, network, trace, layer)
        return jnp.asarray(-self.energy, logits.dtype) * entropy

    def _logits(self, network: Network, trace: Trace) -> Float[Array, "*logits"]:
        if self.draw is not None:
            return trace.logits[self.draw]
        features = tuple(network.features(trace.values, name) for name in self.layer.conditional.parents)
        return self.layer.logits(features, trace.batch_shape)

    def _contrast_of_first(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        """Returns the contrast of the sum of every child's first logit."""
        above, weight = network.layers[layer], cast(Dense, self.layer.conditional).weight(layer)
        first = jnp.sum(weight.reshape(weight.shape[0], self.layer.units, -1)[:, :, 0], axis=-1)
        shape = trace.batch_shape
        if isinstance(above, Bernoulli):
            return jnp.broadcast_to(first * jnp.asarray(above.span, first.dtype), (*shape, above.units))
        by_category = first.reshape(above.units, above.alternatives)
        return above.contrast(jnp.broadcast_to(by_category, (*shape, *by_category.shape)), trace[layer])

    def __str__(self) -> str:
        return f"{self.name}({listed(self.arguments)})"
