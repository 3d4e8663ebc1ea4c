"""Small networks, fit for enumeration, of the shapes that estimators must be exact on."""

import equinox as eqx
import jax
import jax.numpy as jnp

import hnca

SIGNS, BITS = (-1, 1), (0, 1)


def randomised(network, key):
    """Returns the network with every parameter, biases too, drawn anew: N(0, 0.8^2)."""
    leaves, structure = jax.tree.flatten(network)
    keys = jax.random.split(key, len(leaves))
    drawn = [0.8 * jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)


def chain(key, values=SIGNS):
    """image -> first -> second -> a categorical action: the paper's agent."""
    k1, k2, k3, k4 = jax.random.split(key, 4)
    layers = {
        "first": hnca.Bernoulli(hnca.Dense("image", 3, 3, key=k1), values),
        "second": hnca.Bernoulli(hnca.Dense("first", 3, 4, key=k2), values),
        "action": hnca.Categorical(hnca.Dense("second", 4, 3, key=k3)),
    }
    return randomised(hnca.Network(layers, inputs={"image": 3}), k4), {"image": jnp.array([1.0, 0.0, -1.0])}


def branching(key, values=BITS):
    """A skip connection, a layer with two children, and an action with two parents."""
    k1, k2, k3, k4, k5 = jax.random.split(key, 5)
    layers = {
        "action": hnca.Categorical(hnca.Dense(("left", "right"), (2, 3), 3, key=k4)),
        "root": hnca.Bernoulli(hnca.Dense("image", 3, 2, key=k1), values),
        "left": hnca.Bernoulli(hnca.Dense("root", 2, 2, key=k2), values),
        "right": hnca.Bernoulli(hnca.Dense(("root", "image", "left"), (2, 3, 2), 3, key=k3), SIGNS),
    }
    return randomised(hnca.Network(layers, inputs={"image": 3}), k5), {"image": jnp.array([0.5, 0.0, 1.0])}


def dead_end(key):
    """A layer with one child that leads to the action and one that leads nowhere (footnote 6's subset)."""
    k1, k2, k3, k4 = jax.random.split(key, 4)
    layers = {
        "root": hnca.Bernoulli(hnca.Free(2), SIGNS),
        "useful": hnca.Bernoulli(hnca.Dense("root", 2, 2, key=k1), BITS),
        "useless": hnca.Bernoulli(hnca.Dense(("root", "useful"), (2, 2), 2, key=k2), BITS),
        "action": hnca.Categorical(hnca.Dense("useful", 2, 4, key=k3), categories=2),
    }
    return randomised(hnca.Network(layers), k4), {}


def categorical_hidden(key):
    """A categorical layer as a parent, a function as a conditional, and a layer that the reward reads beside."""
    k1, k2, k3, k4 = jax.random.split(key, 4)
    torso = eqx.nn.MLP(2, 3, width_size=3, depth=1, activation=jnp.tanh, key=k2)
    layers = {
        "choice": hnca.Categorical(hnca.Dense("image", 3, 6, key=k1), categories=3),
        "code": hnca.Bernoulli(hnca.Dense("choice", 6, 2, key=k4), SIGNS),
        "action": hnca.Categorical(hnca.Apply(torso, "code", 3)),
    }
    network = hnca.Network(layers, inputs={"image": 3})
    parameters, rest = eqx.partition(network, eqx.is_inexact_array)
    return eqx.combine(randomised(parameters, k3), rest), {"image": jnp.array([1.0, 0.3, -1.0])}


def categorical_chain(key):
    """Categorical layers as parents of categorical and of Bernoulli ones."""
    k1, k2, k3, k4 = jax.random.split(key, 4)
    layers = {
        "choice": hnca.Categorical(hnca.Dense("image", 2, 6, key=k1), categories=3),
        "second": hnca.Categorical(hnca.Dense("choice", 6, 4, key=k2), categories=2),
        "action": hnca.Categorical(hnca.Dense(("second", "choice"), (4, 6), 3, key=k3)),
    }
    return randomised(hnca.Network(layers, inputs={"image": 2}), k4), {"image": jnp.array([1.0, -0.5])}


def convolutional(key):
    """Two maps of units, the second with a stride and padding, and a reward that reads the first beside it."""
    k1, k2, k3, k4 = jax.random.split(key, 4)
    layers = {
        "low": hnca.Bernoulli(hnca.Conv("image", (3, 3, 1), 1, 2, key=k1), SIGNS),
        "high": hnca.Bernoulli(hnca.Conv("low", (2, 2, 1), 1, 2, stride=2, padding=1, key=k2), BITS),
        "action": hnca.Categorical(hnca.Dense("high", 4, 2, key=k3)),
    }
    image = jnp.array([1.0, 0.0, -1.0, 0.5, 0.5, 0.0, 1.0, 1.0, -0.5])
    return randomised(hnca.Network(layers, inputs={"image": 9}), k4), {"image": image}


def nonlinear(key):
    """Layers joined by networks of deterministic units: a torso of convolutions below, and one that skips a layer."""
    k1, k2, k3, k4, k5, k6, k7 = jax.random.split(key, 7)
    torso = hnca.Conv("image", (3, 3, 1), 2, 2, key=k1), jnp.tanh, hnca.Dense("previous", 8, 2, key=k2)
    between = hnca.Dense("code", 2, 3, key=k3), jnp.tanh, eqx.nn.Linear(3, 4, key=k4)
    above = hnca.Dense(("choice", "code"), (4, 2), 3, key=k5), jnp.sin, hnca.Dense("previous", 3, 2, key=k6)
    layers = {
        "code": hnca.Bernoulli(hnca.Sequential(*torso), SIGNS),
        "choice": hnca.Categorical(hnca.Sequential(*between), categories=2),
        "action": hnca.Categorical(hnca.Sequential(*above)),
    }
    image = jnp.array([1.0, 0.0, -1.0, 0.5, 0.5, 0.0, 1.0, 1.0, -0.5])
    return randomised(hnca.Network(layers, inputs={"image": 9}), k7), {"image": image}


def embedded(key):
    """Categorical layers which their children see as the rows of an embedding."""
    k1, k2, k3, k4, k5 = jax.random.split(key, 5)
    choice = hnca.Dense("image", 2, 6, key=k1)
    layers = {
        "choice": hnca.Categorical(choice, categories=3, embedding=jnp.zeros((3, 2))),
        "code": hnca.Bernoulli(hnca.Dense("choice", 4, 2, key=k2), SIGNS),
        "action": hnca.Categorical(hnca.Dense(("choice", "code"), (4, 2), 3, key=k3), embedding=jnp.zeros((3, 1))),
        "after": hnca.Bernoulli(hnca.Sequential(hnca.Dense("action", 1, 2, key=k4), jnp.tanh, eqx.nn.Identity()), BITS),
    }
    return randomised(hnca.Network(layers, inputs={"image": 2}), k5), {"image": jnp.array([1.0, -0.5])}


NETWORKS = {
    "chain of -1 and 1": chain,
    "chain of 0 and 1": lambda key: chain(key, BITS),
    "chain of 0.5 and 3": lambda key: chain(key, (0.5, 3)),
    "branching": branching,
    "dead end": dead_end,
    "categorical hidden": categorical_hidden,
    "categorical chain": categorical_chain,
    "embedded": embedded,
    "convolutional": convolutional,
    "nonlinear": nonlinear,
}


def reward_of(trace):
    """A reward of the action alone, different for every action of `NETWORKS`."""
    digits = trace["action"].astype(jnp.result_type(float))
    return hnca.Reward("action", jnp.sin(3.0 * jnp.sum(digits) + 2.0 * digits[0]) + 1.5)
