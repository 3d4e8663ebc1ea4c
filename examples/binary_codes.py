"""Binary codes for retrieval: an auto-encoder with 32 bits between a convolutional torso and a dense decoder.

    python examples/binary_codes.py

The torso is an ordinary Equinox module; HNCA's credit on the code's logits is backpropagated through it. Afterwards the
codes of the training images are searched for those nearest, in bits, to the codes of test images.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import hnca
from hnca.experiments.data import load_mnist

BITS = 32


class Torso(eqx.Module):
    """From 784 pixels to the logits of the code, by two convolutions and an affine map."""

    layers: list

    def __init__(self, key):
        k1, k2, k3 = jax.random.split(key, 3)
        self.layers = [
            eqx.nn.Conv2d(1, 8, kernel_size=4, stride=3, key=k1),
            eqx.nn.Conv2d(8, 16, kernel_size=3, stride=2, key=k2),
            eqx.nn.Linear(16 * 4 * 4, BITS, key=k3),
        ]

    def __call__(self, image):
        first, second, last = self.layers
        maps = jax.nn.relu(second(jax.nn.relu(first(image.reshape(1, 28, 28)))))
        return last(maps.ravel())


def auto_encoder(key):
    k1, k2 = jax.random.split(key)
    encoder = hnca.Network({"code": hnca.Bernoulli(hnca.Apply(Torso(k1), "image", BITS))}, inputs={"image": 784})
    decoder = hnca.Network(
        {"code": hnca.Bernoulli(hnca.Free(BITS)), "image": hnca.Bernoulli(hnca.Dense("code", BITS, 784, key=k2))}
    )
    return encoder, hnca.ELBO(encoder, decoder)


def train(updates, batch_size=50, learning_rate=2e-3):
    """Returns the trained encoder and the ELBO of every update."""
    pixels = jnp.asarray(load_mnist().train_images.reshape(-1, 784))
    parameters, static = eqx.partition(auto_encoder(jax.random.key(0)), eqx.is_inexact_array)
    optimiser = optax.chain(optax.scale(-1.0), optax.adam(learning_rate))

    @partial(jax.jit, donate_argnums=0)
    def update(state, key):
        parameters, opt_state = state
        encoder, objective = eqx.combine(parameters, static)
        batch_key, estimate_key = jax.random.split(key)
        batch = jax.random.randint(batch_key, (batch_size,), 0, len(pixels))
        images = (pixels[batch] > 127).astype(jnp.float32)
        elbo, estimate = hnca.estimate(hnca.HNCA(), encoder, objective, {"image": images}, key=estimate_key)
        gradient = eqx.filter((estimate.gradient, estimate.objective_gradient), eqx.is_inexact_array)
        steps, opt_state = optimiser.update(gradient, opt_state)
        return (eqx.apply_updates(parameters, steps), opt_state), elbo

    state, elbos = (parameters, optimiser.init(parameters)), []
    for key in jax.random.split(jax.random.key(1), updates):
        state, elbo = update(state, key)
        elbos.append(float(elbo))
    return eqx.combine(state[0], static)[0], elbos


def likeliest_codes(encoder, images):
    """Returns the bits that are likelier than not, `[images, BITS]`."""
    logits = encoder.layer_logits({"image": (images > 127).astype(jnp.float32)}, "code", (len(images),))
    return (logits > 0).astype(jnp.float32)


def retrieval_precision(encoder, database=10_000, queries=500, neighbours=10):
    """Returns the share of the nearest training images that have the label of the test image."""
    data = load_mnist()
    stored = likeliest_codes(encoder, jnp.asarray(data.train_images[:database].reshape(-1, 784)))
    asked = likeliest_codes(encoder, jnp.asarray(data.test_images[:queries].reshape(-1, 784)))
    distance = asked @ (1 - stored).T + (1 - asked) @ stored.T
    _, nearest = jax.lax.top_k(-distance, neighbours)
    same = data.train_labels[:database][nearest] == data.test_labels[:queries, None]
    return float(same.mean())


if __name__ == "__main__":
    encoder, elbos = train(updates=3000)
    print(f"ELBO of the last hundred updates: {sum(elbos[-100:]) / 100:.1f} nats")
    print(f"of the ten nearest images, {retrieval_precision(encoder):.0%} show the digit that was asked for")
