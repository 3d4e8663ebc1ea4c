"""Times one update of the bandit's agent under every estimator beside a straight-through (backpropagation) update.

    python benchmarks/bandit.py [--layers 1 2 3] [--seeds 1] [--updates 100] [--repeats 15]

An update is: gather and binarise a batch, sample, credit, gradient, Adam. HNCA and REINFORCE also measure the variance
of the gradient; a third row leaves that out.
"""

import argparse
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from timing import interleaved_medians

import hnca
from hnca.data.binarise import binarise
from hnca.experiments import bandit
from hnca.experiments.runs import mnist_on_device
from hnca.training import apply_gradient, ascent, initial_state, train_epoch


def straight_through(static, optimiser, images, state, batch, key):
    """Backpropagates the probability of the right action, the derivative of a sample being that of its mean."""
    binarise_key, sample_key = jax.random.split(key)
    pixels = binarise(binarise_key, images.pixels[batch])

    def right(parameters):
        network = eqx.combine(parameters, static)
        values, logits = {"image": pixels}, {}
        for name, layer_key in zip(network.order, jax.random.split(sample_key, len(network.order)), strict=True):
            layer = network.layers[name]
            logits[name] = network.layer_logits(values, name, batch.shape)
            mean = layer.mean(logits[name])
            sample = layer.encode(layer.sample(layer_key, logits[name]), network.dtype)
            values[name] = mean + jax.lax.stop_gradient(sample - mean) if name != "action" else None
        probabilities = jax.nn.softmax(logits["action"][:, 0])
        chosen = jnp.take_along_axis(probabilities, images.labels[batch][:, None], axis=-1)
        return jnp.mean(chosen)

    value, gradient = jax.value_and_grad(right)(state.parameters)
    return apply_gradient(state, gradient, state.estimator, optimiser), value


def without_variance(static, method, optimiser, images, state, batch, key):
    state, (accuracy, _) = bandit.update(static, method, optimiser, images, state, batch, key)
    return state, accuracy


def compiled(layers, seeds, updates, method, variance):
    """Returns a call that runs `updates` updates of freshly made agents."""
    train_images, _ = mnist_on_device()
    optimiser = ascent(1e-4)
    keys = jax.random.split(jax.random.key(0), seeds)
    networks = jax.vmap(partial(bandit.agent, layers, 200))(keys)
    static = eqx.filter(networks, eqx.is_inexact_array, inverse=True)
    objective = hnca.Objective(hnca.Reward("action", jnp.zeros(())))
    states = jax.vmap(lambda n: initial_state(n, objective, method or hnca.REINFORCE(), optimiser))(networks)

    def many(state, key, images):
        if method is None:
            step = partial(straight_through, static, optimiser, images)
        else:
            step = partial(bandit.update if variance else without_variance, static, method, optimiser, images)
        return train_epoch(step, state, key, 50 * updates, 50)

    call = jax.jit(jax.vmap(many, in_axes=(0, 0, None)))
    return partial(call, states, keys, train_images)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    print(f"JAX {jax.__version__}, {jax.devices()[0].device_kind}; median ms an update (ratio to straight-through)")
    for layers in options.layers:
        build = partial(compiled, layers, options.seeds, options.updates)
        calls = {
            "straight-through": build(None, False),
            "REINFORCE": build(hnca.REINFORCE(), True),
            "HNCA": build(hnca.HNCA(), True),
            "HNCA, no variance": build(hnca.HNCA(), False),
        }
        medians = interleaved_medians(calls, options.repeats)
        base = medians["straight-through"]
        cells = [f"{name} {1e3 * t / options.updates:.3f} ({t / base:.2f})" for name, t in medians.items()]
        print(f"{layers} hidden, {options.seeds} seed(s):  " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
