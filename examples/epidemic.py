"""An epidemic, fitted to the number of people ill on each day by the gradient of a simulation of every person.

    python examples/epidemic.py

A person is susceptible, ill or recovered. Each day draws everybody's *state* given yesterday's, not who changes: so a
day depends on the day before alone, and credit passes from day to day.
"""

import jax
import jax.numpy as jnp
import optax

import hnca


def simulate(rates, key, days=10, people=20):
    """Returns how many people are ill on each day; two were on the day before."""
    infection, recovery = jnp.exp(rates["infection"]), jnp.exp(rates["recovery"])

    def day(state, key):
        stays_well, stays_ill = -infection * jnp.mean(state == 1) - 1e-6, -recovery  # log-probabilities
        of_susceptible = jnp.stack([stays_well, jnp.log(-jnp.expm1(stays_well)), -jnp.inf])
        of_ill = jnp.stack([-jnp.inf, stays_ill, jnp.log(-jnp.expm1(stays_ill))])
        logits = jnp.stack([of_susceptible, of_ill, jnp.array([-jnp.inf, -jnp.inf, 0.0])])  # a row a state before
        state = hnca.categorical(key, logits[state])
        return state, jnp.sum(state == 1)

    return jax.lax.scan(day, (jnp.arange(people) < 2).astype(jnp.int32), jax.random.split(key, days))[1]


def loss(rates, key, counts):
    """How far one simulation is from what was observed, in squared people a day."""
    return jnp.mean((simulate(rates, key, len(counts)) - counts) ** 2)


def fit(updates, counts, simulations=16, learning_rate=0.05):
    """Returns the logarithms of the rates, and the loss of every update."""
    rates, optimiser = {"infection": jnp.log(0.3), "recovery": jnp.log(0.5)}, optax.adam(learning_rate)
    both = hnca.value_and_grad(loss, in_axes=(None, 0, None), estimator=hnca.HNCA(hnca.RunningMean()), stateful=True)

    @jax.jit
    def update(rates, opt_state, baselines, key):
        keys = jax.random.split(key, simulations)
        (value, baselines), gradient = both(rates, keys, counts, estimator_state=baselines)
        steps, opt_state = optimiser.update(gradient, opt_state)
        return optax.apply_updates(rates, steps), opt_state, baselines, value

    opt_state, baselines, losses = optimiser.init(rates), None, []
    for key in jax.random.split(jax.random.key(1), updates):
        rates, opt_state, baselines, value = update(rates, opt_state, baselines, key)
        losses.append(float(value))
    return rates, losses


if __name__ == "__main__":
    truth = {"infection": jnp.log(1.2), "recovery": jnp.log(0.2)}
    towns = jax.vmap(simulate, (None, 0))(truth, jax.random.split(jax.random.key(0), 100))
    rates, _ = fit(updates=300, counts=jnp.mean(towns, axis=0, dtype=jnp.float32))
    print({name: f"{jnp.exp(rate):.2f}, in truth {jnp.exp(truth[name]):.2f}" for name, rate in rates.items()})
