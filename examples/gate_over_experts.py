"""A gate over experts: each point goes to one of four experts, and gate and experts learn from the squared error.

    python examples/gate_over_experts.py

In each quadrant of the plane the target is another linear map, so that no one expert can fit it. Only the error of the
chosen expert counts; what the others' would have been is asked of the function itself.
"""

import jax
import jax.numpy as jnp
import optax

import hnca

EXPERTS, HIDDEN = 4, 16


def parameters(key):
    k1, k2, k3 = jax.random.split(key, 3)
    gate = {"in": jax.random.normal(k1, (2, HIDDEN)), "out": 0.1 * jax.random.normal(k2, (HIDDEN, EXPERTS))}
    return {"gate": gate, "experts": jax.random.normal(k3, (EXPERTS, 2))}


def loss(params, key, point, target):
    """The squared error of one example: an ordinary JAX function."""
    choice = hnca.categorical(key, jnp.tanh(point @ params["gate"]["in"]) @ params["gate"]["out"])
    return (params["experts"][choice] @ point - target) ** 2


def examples(key, count):
    """Returns points of a square and their targets."""
    points = jax.random.uniform(key, (count, 2), minval=-1.0, maxval=1.0)
    slopes = jnp.array([[1.0, 2.0], [-2.0, 1.0], [2.0, -1.0], [-1.0, -2.0]])
    return points, jnp.sum(slopes[2 * (points[:, 0] > 0) + (points[:, 1] > 0)] * points, axis=-1)


def train(updates, batch_size=100, learning_rate=0.02):
    """Returns the parameters and the mean squared error of every update."""
    params, optimiser, errors = parameters(jax.random.key(0)), optax.adam(learning_rate), []

    @jax.jit
    def update(params, opt_state, key):
        data_key, draw_key = jax.random.split(key)
        keys = jax.random.split(draw_key, batch_size)
        points, targets = examples(data_key, batch_size)
        error, gradient = hnca.value_and_grad(loss, in_axes=(None, 0, 0, 0))(params, keys, points, targets)
        steps, opt_state = optimiser.update(gradient, opt_state)
        return optax.apply_updates(params, steps), opt_state, error

    opt_state = optimiser.init(params)
    for key in jax.random.split(jax.random.key(1), updates):
        params, opt_state, error = update(params, opt_state, key)
        errors.append(float(error))
    return params, errors


if __name__ == "__main__":
    _, errors = train(updates=2000)
    print(*(f"updates to {i + 250}: {sum(errors[i : i + 250]) / 250:.4f}" for i in range(0, 2000, 250)), sep="\n")
