"""Times an update of a program beside the same network described: `python benchmarks/programs.py vae1 bandit2`."""

import statistics
import sys
import time

import jax
import jax.numpy as jnp
import optax

import hnca

BATCH, PIXELS, WIDTH, ACTIONS = 50, 784, 200, 10
"""The paper's sizes."""


def images(key, batch=BATCH):
    """Returns `[batch, 784]` random binary images."""
    return (jax.random.uniform(key, (batch, PIXELS)) > 0.7).astype(jnp.float32)


def auto_encoder(depth, key):
    """Returns an encoder and a decoder of so many layers each."""
    keys = jax.random.split(key, 2 * depth)
    encoder, decoder, below, size = {}, {f"h{depth - 1}": hnca.Bernoulli(hnca.Free(WIDTH))}, "image", PIXELS
    for i in range(depth):
        encoder[f"h{i}"] = hnca.Bernoulli(hnca.Dense(below, size, WIDTH, key=keys[i]))
        below, size = f"h{i}", WIDTH
    for i in range(depth - 1):
        decoder[f"h{i}"] = hnca.Bernoulli(hnca.Dense(f"h{i + 1}", WIDTH, WIDTH, key=keys[depth + i]))
    decoder["image"] = hnca.Bernoulli(hnca.Dense("h0", WIDTH, PIXELS, key=keys[-1]))
    return hnca.Network(encoder, inputs={"image": PIXELS}), hnca.Network(decoder)


def bandit(depth, key):
    """Returns a policy of so many hidden layers."""
    keys = jax.random.split(key, depth + 1)
    layers, below, size = {}, "image", PIXELS
    for i in range(depth):
        layers[f"h{i}"] = hnca.Bernoulli(hnca.Dense(below, size, WIDTH, key=keys[i]), values=(-1, 1))
        below, size = f"h{i}", WIDTH
    layers["action"] = hnca.Categorical(hnca.Dense(below, size, ACTIONS, key=keys[-1]))
    return hnca.Network(layers, inputs={"image": PIXELS})


def logits(network, name, features):
    """Returns `features @ weight + bias`, as a user writes it."""
    conditional = network.layers[name].conditional
    return features @ conditional.weights[0] + conditional.bias


def bound(networks, key, x):
    """The evidence lower bound of one image, written out."""
    encoder, decoder = networks
    depth = len(encoder.layers)
    h, hidden, value = x, [], 0.0
    for i, layer_key in enumerate(jax.random.split(key, depth)):
        a = logits(encoder, f"h{i}", h)
        value += jnp.sum(jax.nn.softplus(a) - a * jax.nn.sigmoid(a))
        h = hnca.bernoulli(layer_key, a, name=f"h{i}")
        hidden.append(h)
    prior = decoder.layers[f"h{depth - 1}"].conditional.bias
    value += jnp.sum(hidden[-1] * prior - jax.nn.softplus(prior))
    for i in range(depth - 1):
        a = logits(decoder, f"h{i}", hidden[i + 1])
        value -= jnp.sum(optax.sigmoid_binary_cross_entropy(a, hidden[i]))
    return value - jnp.sum(optax.sigmoid_binary_cross_entropy(logits(decoder, "image", hidden[0]), x))


def reward(network, key, x, label):
    """The reward for one image's action."""
    *hidden, last = jax.random.split(key, len(network.layers))
    h = x
    for i, layer_key in enumerate(hidden):
        h = hnca.bernoulli(layer_key, logits(network, f"h{i}", h), values=(-1, 1), name=f"h{i}")
    action = hnca.categorical(last, logits(network, "action", h), name="action")
    return hnca.observed((action == label).astype(jnp.float32))


def _auto_encoders(depth):
    encoder, decoder = auto_encoder(depth, jax.random.key(2))
    keys, xs = jax.random.split(jax.random.key(1), BATCH), images(jax.random.key(0))

    def described(encoder, decoder, key, xs):
        bound = hnca.ELBO(encoder, decoder)
        value, estimate = hnca.estimate(hnca.HNCA(), encoder, bound, {"image": xs}, key=key)
        return value, estimate.gradient, estimate.objective_gradient

    program = jax.jit(hnca.value_and_grad(bound, in_axes=(None, 0, 0)))
    return (jax.jit(described), (encoder, decoder, keys[0], xs)), (program, ((encoder, decoder), keys, xs))


def _bandits(depth):
    network, labels = bandit(depth, jax.random.key(2)), jnp.arange(BATCH) % ACTIONS
    keys, xs = jax.random.split(jax.random.key(1), BATCH), images(jax.random.key(0))

    def described(network, key, xs, labels):
        trace = network.sample(key, {"image": xs})
        rewards = (trace["action"][:, 0] == labels).astype(jnp.float32)
        return hnca.HNCA()(network, hnca.Reward("action", rewards), trace).gradient

    program = jax.jit(hnca.grad(reward, in_axes=(None, 0, 0, 0)))
    return (jax.jit(described), (network, keys[0], xs, labels)), (program, (network, keys, xs, labels))


def _compile_time(function, arguments):
    start = time.time()
    lowered = function.lower(*arguments)
    traced = time.time()
    lowered.compile()
    return traced - start, time.time() - traced, len(lowered.as_text().splitlines())


def _milliseconds(pair, updates=30, turns=9):
    """Returns the median over turns for each."""
    for function, arguments in pair:
        jax.block_until_ready(function(*arguments))
    times = [[] for _ in pair]
    for _ in range(turns):
        for (function, arguments), taken in zip(pair, times, strict=True):
            start = time.time()
            for _ in range(updates):
                out = function(*arguments)
            jax.block_until_ready(out)
            taken.append((time.time() - start) / updates * 1e3)
    return [statistics.median(taken) for taken in times]


def main(names):
    """Prints a paragraph for each."""
    for name in names:
        pair = _auto_encoders(int(name[3:])) if name.startswith("vae") else _bandits(int(name[6:]))
        compiled = [_compile_time(*each) for each in pair]
        described, program = _milliseconds(pair)
        print(f"{name}: described {described:.2f} ms, program {program:.2f} ms, ratio {program / described:.2f}")
        for kind, (traced, seconds, lines) in zip(("described", "program"), compiled, strict=True):
            print(f"  {kind}: traced in {traced:.2f} s, compiled in {seconds:.2f} s, {lines} lines of HLO")


if __name__ == "__main__":
    main(sys.argv[1:] or ["vae1", "vae2", "bandit1", "bandit2"])
