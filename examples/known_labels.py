"""A sigmoid belief network of digits in which one image in ten has a known label.

    python examples/known_labels.py

The label is drawn for every image and, where it is known, replaced by the known one: draw unconditionally and select.
"""

import jax
import jax.numpy as jnp
import optax

import hnca
from hnca.experiments.data import load_mnist

SHAPES = {"x-label": (196, 10), "x-causes": (196, 30), "label-causes": (10, 30)}
SHAPES |= {"causes-x": (30, 196), "label-x": (10, 196), "causes": (30,), "x": (196,)}


def cross_entropy(logits, values):
    return jnp.sum(optax.sigmoid_binary_cross_entropy(logits, values))


def loss(p, key, x, label, known):
    """Minus the evidence lower bound of one image; of a known label, its cross-entropy in place of its entropy."""
    label_key, causes_key = jax.random.split(key)
    log_q = jax.nn.log_softmax(x @ p["x-label"])
    digit = jax.nn.one_hot(jnp.where(known, label, hnca.categorical(label_key, log_q)), 10)
    causes_logits = x @ p["x-causes"] + digit @ p["label-causes"]
    causes = hnca.bernoulli(causes_key, causes_logits)
    likelihood = -cross_entropy(causes @ p["causes-x"] + digit @ p["label-x"] + p["x"], x)
    divergence = cross_entropy(p["causes"], causes) - cross_entropy(causes_logits, jax.nn.sigmoid(causes_logits))
    return divergence - likelihood + jnp.where(known, -30 * log_q[label], jnp.sum(jnp.exp(log_q) * log_q))


def train(updates, images=5000, batch_size=100, learning_rate=3e-3):
    """Returns the share of test images whose label is recognised."""
    data, optimiser, estimator = load_mnist(), optax.adam(learning_rate), hnca.HNCA(hnca.RunningMean())
    pixels, tests = (x[:, ::2, ::2].reshape(-1, 196) > 127 for x in (data.train_images[:images], data.test_images))
    pixels, labels = jnp.asarray(pixels, jnp.float32), jnp.asarray(data.train_labels, jnp.int32)
    keys = iter(jax.random.split(jax.random.key(0), len(SHAPES)))
    params = {name: 0.05 * jax.random.normal(next(keys), shape) for name, shape in SHAPES.items()}

    @jax.jit
    def update(params, opt_state, baselines, key):
        batch_key, draw_key = jax.random.split(key)
        i, keys = jax.random.randint(batch_key, (batch_size,), 0, images), jax.random.split(draw_key, batch_size)
        credited = hnca.grad(loss, in_axes=(None, 0, 0, 0, 0), estimator=estimator, stateful=True)
        gradient, baselines = credited(params, keys, pixels[i], labels[i], i % 10 == 0, estimator_state=baselines)
        steps, opt_state = optimiser.update(gradient, opt_state)
        return optax.apply_updates(params, steps), opt_state, baselines

    opt_state, baselines = optimiser.init(params), None
    for key in jax.random.split(jax.random.key(1), updates):
        params, opt_state, baselines = update(params, opt_state, baselines, key)
    return (jnp.argmax(tests @ params["x-label"], axis=-1) == data.test_labels).mean()


if __name__ == "__main__":
    print(f"{train(updates=1000):.0%} of the test images recognised, from 500 labels")
