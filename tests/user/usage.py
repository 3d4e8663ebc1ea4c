"""What a user of the library writes, with every type written out: read by type checkers, as strictly as they can."""

from typing import assert_type

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

import hnca

Parameters = dict[str, Array]


def loss(params: Parameters, key: Array, x: Array) -> Array:
    """Of one example."""
    first, second = jax.random.split(key)
    code = hnca.bernoulli(first, x @ params["encoder"], name="code")
    action = hnca.categorical(second, code @ params["head"])
    likelihood = jnp.sum(hnca.log_prob(code @ params["decoder"], x))
    reward = hnca.observed(jnp.where(action == 1, 1.0, 0.0))
    return -likelihood - reward - jnp.sum(hnca.entropy(x @ params["encoder"]))


def train(params: Parameters, xs: Array, updates: int) -> Parameters:
    """By a program."""
    step = jax.jit(hnca.value_and_grad(loss, in_axes=(None, 0, 0), estimator=hnca.HNCA()))
    for number in range(updates):
        keys = jax.random.split(jax.random.key(number), len(xs))
        _, gradient = step(params, keys, xs)
        params = jax.tree.map(lambda leaf, slope: leaf - 0.1 * slope, params, gradient)
    return params


def tell(params: Parameters, key: Array, x: Array) -> str:
    """What is known of a program before it is trained."""
    found = hnca.check_unbiased(loss, (params, key, x), estimator=hnca.HNCA(), tolerance=1e-4)
    assert_type(found.error, float)
    assert_type(found.states, int)
    return str(hnca.explain(loss)(params, key, x))


class Cost(hnca.Component):
    """A component of one's own: what each hidden unit that is on costs."""

    weight: Array
    arguments: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(self, weight: Array) -> None:
        self.weight, self.arguments = weight, ("hidden",)
        self.counterfactual = self.repeatable = True

    def value(self, network: hnca.Network, trace: hnca.Trace) -> Array:
        """The sum of the costs."""
        return -jnp.sum(self.weight * trace.values["hidden"], axis=-1)

    def contrast(self, network: hnca.Network, trace: hnca.Trace, layer: str) -> Array:
        """Of the upper value against the lower."""
        return jnp.broadcast_to(-2.0 * self.weight, trace.logits[layer].shape)


def described(key: Array, xs: Array) -> hnca.Estimate:
    """By a network that is described layer by layer."""
    keys = jax.random.split(key, 3)
    network = hnca.Network(
        {
            "hidden": hnca.Bernoulli(hnca.Dense("x", 4, 3, key=keys[0]), values=(-1, 1)),
            "action": hnca.Categorical(hnca.Dense("hidden", 3, 2, key=keys[1])),
        },
        {"x": 4},
    )
    trace = network.sample(keys[2], {"x": xs})
    assert_type(trace, hnca.Trace)
    objective = hnca.Objective(hnca.Reward("action", jnp.ones(len(xs))), Cost(jnp.ones(3)))
    estimator: hnca.Estimator = hnca.HNCA(hnca.RunningMean())
    estimate = estimator(network, objective, trace, state=estimator.init(network, objective))
    assert_type(estimate, hnca.Estimate)
    gradient: hnca.Network = estimate.gradient
    credits: dict[str, Array] = estimate.credits
    assert gradient.layers.keys() == credits.keys()
    return estimate


if __name__ == "__main__":
    inputs = jnp.eye(4)
    start = {"encoder": jnp.ones((4, 3)) / 8, "head": jnp.ones((3, 2)) / 8, "decoder": jnp.ones((3, 4)) / 8}
    print(tell(train(start, inputs, 3), jax.random.key(0), inputs[0]))
    print(described(jax.random.key(0), inputs).credits)
