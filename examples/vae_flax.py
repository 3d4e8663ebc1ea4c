"""A variational auto-encoder with binary codes, its encoder and decoder Flax NNX modules.

    python examples/vae_flax.py    (after pip install flax)

`hnca.credited` goes under Flax's own `nnx.value_and_grad`; everything else is Flax as always.
"""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import hnca
from hnca.experiments.data import load_mnist


class AutoEncoder(nnx.Module):
    """Logits of the code from an image, of the image from a code, and of the code before any image is seen."""

    def __init__(self, rngs):
        self.encoder = nnx.Sequential(nnx.Linear(784, 100, rngs=rngs), jnp.tanh, nnx.Linear(100, 50, rngs=rngs))
        self.decoder = nnx.Linear(50, 784, rngs=rngs)
        self.prior = nnx.Param(jnp.zeros(50))


def loss(model, key, image):
    """Minus the evidence lower bound of one image, in nats."""
    logits = model.encoder(image)
    code = hnca.bernoulli(key, logits)
    reconstruction = jnp.sum(optax.sigmoid_binary_cross_entropy(model.decoder(code), image))
    prior = jnp.sum(optax.sigmoid_binary_cross_entropy(model.prior[...], code))
    entropy = jnp.sum(optax.sigmoid_binary_cross_entropy(logits, jax.nn.sigmoid(logits)))
    return reconstruction + prior - entropy


def train(updates, images=500, batch_size=50, learning_rate=3e-3):
    """Returns the model and the loss of every update, on some images of MNIST."""
    pixels = (jnp.asarray(load_mnist().train_images[:images].reshape(-1, 784)) > 127).astype(jnp.float32)
    model = AutoEncoder(nnx.Rngs(0))
    optimiser = nnx.Optimizer(model, optax.adam(learning_rate), wrt=nnx.Param)

    @nnx.jit
    def update(model, optimiser, key):
        batch_key, draw_key = jax.random.split(key)
        batch = pixels[jax.random.randint(batch_key, (batch_size,), 0, images)]
        scalar = hnca.credited(loss, in_axes=(None, 0, 0))
        value, gradient = nnx.value_and_grad(scalar)(model, jax.random.split(draw_key, batch_size), batch)
        optimiser.update(model, gradient)
        return value

    return model, [float(update(model, optimiser, key)) for key in jax.random.split(jax.random.key(1), updates)]


if __name__ == "__main__":
    _, losses = train(updates=1000)
    print(
        f"{sum(losses[:100]) / 100:.1f} nats in the first hundred updates, {sum(losses[-100:]) / 100:.1f} in the last"
    )
