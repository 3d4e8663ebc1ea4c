"""The evidence lower bound of a hierarchical variational auto-encoder (Young 2022, Eq 7)."""

from collections.abc import Callable

import equinox as eqx
from jaxtyping import Array, Float

from hnca._network_arguments import require_network
from hnca._options import require_callable
from hnca.network import Network, Trace
from hnca.objectives._base import Component
from hnca.objectives._checked import checked_value
from hnca.objectives._objective import Objective
from hnca.objectives._observed import check_scored
from hnca.objectives.entropy import Entropy
from hnca.objectives.log_prob import LogProb
from hnca.objectives.sampled_entropy import SampledEntropy
from hnca.units import Categorical


class ELBO(Objective):
    r"""`E_q[log p(input, latents) - log q(latents | input)]`, as a sum of components.

    Each layer of the decoder is a `LogProb` of the value that its namesake in the encoder took (or of the observed
    input); each layer of the encoder adds its analytic `Entropy` or, if so wished, a `SampledEntropy`.

    Example:
        ```python
        encoder = hnca.Network({"code": hnca.Bernoulli(hnca.Dense("image", 784, 200, key=k1))}, inputs={"image": 784})
        decoder = hnca.Network(
            {
                "code": hnca.Bernoulli(hnca.Free(200)),
                "image": hnca.Bernoulli(hnca.Dense("code", 200, 784, key=k2)),
            }
        )
        objective = hnca.ELBO(encoder, decoder)
        ```

    Attributes:
        components: see above; the decoder's parameters are in the `LogProb`s.
        decoder_inputs: the inputs that the decoder itself reads, by name and shape.
    """

    decoder_inputs: tuple[tuple[str, tuple[int, ...]], ...] = eqx.field(static=True)

    def __init__(self, encoder: Network, decoder: Network, entropy: Callable[[Network, str], Component] = Entropy):
        """Args:
            encoder: `q`, from the observed inputs to the latent layers.
            decoder: `p`, a generative network whose layers have the names of the encoder's layers and inputs.
            entropy: the component for the entropy of a layer of the encoder: `Entropy` or `SampledEntropy`.

        Raises:
            ValueError: for what is no network or no function; if the decoder has no layer for an observed input, no
                prior for a layer of the encoder, or a layer that the encoder knows nothing of, or one of another number
                of units or of another family than its namesake; or if a layer has an embedding. The message names the
                layer.
        """
        require_network("ELBO", encoder, "encoder")
        require_network("ELBO", decoder, "decoder")
        require_callable("ELBO", "entropy", entropy, "a network and a layer's name, such as hnca.Entropy")
        inputs = tuple(name for name, _ in encoder.inputs)
        _check(encoder, decoder, inputs)
        generated = [LogProb(decoder.layers[name], name, inputs=inputs) for name in decoder.order]
        entropies = [entropy(encoder, name) for name in encoder.order]
        for found in entropies:
            if not isinstance(found, Component):
                raise ValueError(f"ELBO: entropy returned a {type(found).__name__}; expected a component.")
        super().__init__(*generated, *entropies)
        self.decoder_inputs = decoder.inputs

    @property
    def decoder(self) -> Network:
        """The decoder with the parameters it has now: `p`, to sample from."""
        layers = {term.value_name: term.layer for term in self._generated}
        return Network(layers, inputs=dict(self.decoder_inputs))

    def log_weight(self, encoder: Network, trace: Trace) -> Float[Array, "*batch"]:
        """Returns `log p(inputs, latents) - log q(latents | inputs)` at the trace's latents, in nats, `[*batch]`.

        Its expectation is the ELBO; the log of the mean of its exponential over samples is the importance-weighted
        bound.
        """
        generated = [checked_value(term, encoder, trace) for term in self._generated]
        return sum(generated[1:], generated[0]) - encoder.log_prob(trace)

    def is_log_weight(self, encoder: Network) -> bool:
        """Returns whether every entropy is sampled, so that the value is the log weight at the sample."""
        sampled = {component.layer for component in self.components if isinstance(component, SampledEntropy)}
        return sampled == set(encoder.layers)

    def subtracts_log_q(self, encoder: Network) -> bool:
        """Returns True: of a log weight the encoder's log-probability is a part."""
        return True

    @property
    def _generated(self) -> list[LogProb]:
        return [component for component in self.components if isinstance(component, LogProb)]


def _check(encoder: Network, decoder: Network, inputs: tuple[str, ...]) -> None:
    known = {*dict(encoder.inputs), *encoder.layers}
    unknown = sorted(set(decoder.layers) - known)
    if unknown:
        raise ValueError(
            f"ELBO: the decoder's layers {unknown!r} are neither layers nor inputs of the encoder, {sorted(known)!r}."
        )
    if not set(decoder.layers) & set(inputs):
        raise ValueError(f"ELBO: the decoder does not end in an observed input; expected a layer of {list(inputs)!r}.")
    for name in encoder.order:
        if name not in decoder.layers:
            raise ValueError(f"ELBO: the encoder's layer {name!r} has no prior; expected a decoder layer {name!r}.")
        if name not in {p for layer in decoder.layers.values() for p in layer.conditional.parents}:
            raise ValueError(f"ELBO: no layer of the decoder reads the encoder's layer {name!r}.")
    for name, layer in decoder.layers.items():
        check_scored("ELBO", layer, encoder, name)
    for name, layer in encoder.layers.items():
        if isinstance(layer, Categorical) and layer.embedding is not None:
            raise ValueError(
                f"ELBO: the encoder's layer {name!r} has an embedding, which its namesake in the decoder has not, so "
                "that a sample of the decoder would be another one; expected none (the weight of a Dense that reads "
                "the one-hot value is an embedding)."
            )
