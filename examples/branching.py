"""A network that branches: one layer feeds two, one of them past the other, and each branch earns its own reward.

    python examples/branching.py

`objective.explain(network)` shows how each term reaches each layer: the parity's reward does not pass through `high`,
so `high` is not credited for it, and `shared` is credited for it only through the child that leads there.
"""

import jax
import jax.numpy as jnp
import optax

import hnca


def network_of(key):
    k1, k2, k3, k4, k5 = jax.random.split(key, 5)
    return hnca.Network(
        {
            "shared": hnca.Bernoulli(hnca.Dense("bits", 3, 12, key=k1), values=(-1, 1)),
            "low": hnca.Bernoulli(hnca.Dense("shared", 12, 8, key=k2), values=(-1, 1)),
            "high": hnca.Bernoulli(hnca.Dense(("shared", "bits"), (12, 3), 8, key=k3), values=(-1, 1)),
            "parity": hnca.Categorical(hnca.Dense("low", 8, 2, key=k4)),
            "count": hnca.Categorical(hnca.Dense("high", 8, 4, key=k5)),
        },
        inputs={"bits": 3},
    )


def objective_of(trace):
    """A reward for the parity of the bits, one for their number, and a small bonus for units of `low` that are up."""
    number = jnp.sum(trace["bits"], axis=-1).astype(jnp.int32)
    parity = (trace["parity"][..., 0] == number % 2).astype(jnp.float32)
    count = (trace["count"][..., 0] == number).astype(jnp.float32)
    bonus = hnca.Function(lambda units: 1e-3 * jnp.sum(units), "low")
    return hnca.Objective(hnca.Reward("parity", parity), hnca.Reward("count", count), bonus), parity, count


def train(updates, learning_rate=0.02):
    """Returns the network and, for every update, the two mean rewards."""
    network = network_of(jax.random.key(0))
    optimiser = optax.chain(optax.scale(-1.0), optax.adam(learning_rate))
    bits = jnp.array([[a, b, c] for a in (0.0, 1.0) for b in (0.0, 1.0) for c in (0.0, 1.0)]).repeat(8, axis=0)

    @jax.jit
    def update(network, opt_state, key):
        trace = network.sample(key, {"bits": bits})
        objective, parity, count = objective_of(trace)
        estimate = hnca.HNCA()(network, objective, trace)
        steps, opt_state = optimiser.update(estimate.gradient, opt_state)
        return optax.apply_updates(network, steps), opt_state, (jnp.mean(parity), jnp.mean(count))

    opt_state, rewards = optimiser.init(network), []
    for key in jax.random.split(jax.random.key(1), updates):
        network, opt_state, pair = update(network, opt_state, key)
        rewards.append(tuple(map(float, pair)))
    return network, rewards


if __name__ == "__main__":
    network, rewards = train(updates=600)
    trace = network.sample(jax.random.key(2), {"bits": jnp.zeros((1, 3))})
    print(objective_of(trace)[0].explain(network))
    for start in range(0, 600, 100):
        parity, count = (sum(pair[i] for pair in rewards[start : start + 100]) / 100 for i in (0, 1))
        print(f"updates {start + 1} to {start + 100}: parity {parity:.3f}, count {count:.3f}")
