"""Known functions on small networks: components hanging anywhere, of every kind."""

import jax
import jax.numpy as jnp
from networks import BITS, NETWORKS, SIGNS, randomised

import hnca


def wave(*features):
    return jnp.cos(sum(jnp.sum(jnp.arange(1.0, f.size + 1.0) * f) for f in features)) + 0.3


def scattered(name):
    """A network of `NETWORKS` with components of every kind on every layer, one of them over two layers."""

    def make(key):
        k1, k2, k3, k4 = jax.random.split(key, 4)
        network, inputs = NETWORKS[name](k1)
        order = network.order
        first, last = order[0], order[-1]
        layers = network.layers
        over = hnca.Bernoulli(hnca.Dense(last, layers[last].features, layers[first].units, key=k3), BITS)
        weight = jax.random.normal(k4, (layers[first].features, 3))
        components = [
            hnca.Function(wave, (first, last)),
            hnca.Function(wave, order[1], counterfactual="none"),
            hnca.Linear(first, weight, jnp.ones(3), jnp.tanh),
            *(hnca.Entropy(network, layer) for layer in order),
            hnca.SampledEntropy(network, last),
        ]
        if isinstance(layers[first], hnca.Bernoulli):
            over = hnca.Bernoulli(over.conditional, layers[first].values)
            components += [hnca.LogProb(over, first)]
        if isinstance(layers[order[1]], hnca.Bernoulli) and layers[order[1]].units == 2:
            other = hnca.Bernoulli(hnca.Dense(first, layers[first].features, 2, key=k2), layers[order[1]].values)
            components += [hnca.LogProb(other, order[1])]
        return network, hnca.Objective(*components), inputs

    return make


def auto_encoder(depth, values, entropy=hnca.Entropy):
    """A hierarchical VAE of this depth, its prior learned."""

    def make(key):
        k1, k2, *keys = jax.random.split(key, 2 + 2 * depth)
        sizes = [3, 3, 2, 2][: depth + 1]
        names = ["image", *(f"latent{i + 1}" for i in range(depth))]
        encoder, decoder = {}, {}
        for i in range(depth):
            below, above = names[i], names[i + 1]
            family = values if i else BITS
            encoder[above] = hnca.Bernoulli(hnca.Dense(below, sizes[i], sizes[i + 1], key=keys[2 * i]), values)
            decoder[below] = hnca.Bernoulli(hnca.Dense(above, sizes[i + 1], sizes[i], key=keys[2 * i + 1]), family)
        decoder[names[-1]] = hnca.Bernoulli(hnca.Free(sizes[depth]), values)
        network = randomised(hnca.Network(encoder, inputs={"image": 3}), k1)
        generator = randomised(hnca.Network(decoder), k2)
        return network, hnca.ELBO(network, generator, entropy), {"image": jnp.array([1.0, 0.0, 1.0])}

    return make


OBJECTIVES = {
    **{f"scattered over {name}": scattered(name) for name in NETWORKS if "0" not in name},
    **{f"{depth}-layer auto-encoder": auto_encoder(depth, SIGNS if depth == 2 else BITS) for depth in (1, 2, 3)},
    "auto-encoder with sampled entropies": auto_encoder(2, BITS, hnca.SampledEntropy),
}
