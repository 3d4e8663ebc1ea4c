"""The registry of programs: every structure that a function with draws may have, on shapes that can be enumerated.

Each is a function of `(draws, p, key, x)`: `draws` is `hnca` or, for the oracle, what hands out chosen values.
"""

import jax
import jax.numpy as jnp
import optax


def bandit(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    hidden = draws.bernoulli(k1, x @ p["in"] + p["bias"], values=(-1, 1))
    action = draws.categorical(k2, hidden @ p["square"])
    return jnp.asarray([1.0, -0.3, 0.2])[action] * x[0]


def elbo_plain(draws, p, key, x):
    logits = x @ p["in"]
    code = draws.bernoulli(key, logits)
    a = code @ p["back"] + p["visible"]
    reconstruction = jnp.sum(x * jax.nn.log_sigmoid(a) + (1 - x) * jax.nn.log_sigmoid(-a))
    prior = jnp.sum(code * p["bias"] - jax.nn.softplus(p["bias"]))
    q = jax.nn.sigmoid(logits)
    entropy = -jnp.sum(q * jnp.log(q) + (1 - q) * jnp.log(1 - q))
    return reconstruction + prior + entropy


def elbo_two_layers(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    a1 = x @ p["in"]
    h1 = draws.bernoulli(k1, a1)
    a2 = h1 @ p["square"]
    h2 = draws.bernoulli(k2, a2)
    back = h2 @ p["square"].T + p["bias"]
    visible = h1 @ p["back"]
    value = -jnp.sum(optax.sigmoid_binary_cross_entropy(visible, x))
    value += jnp.sum(h1 * back - jnp.logaddexp(0.0, back)) + jnp.sum(jax.nn.log_sigmoid(jnp.where(h2 > 0, 0.3, -0.3)))
    for a in (a1, a2):
        value += jnp.sum(jax.nn.softplus(a) - a * jax.nn.sigmoid(a))
    return value


def weighted_likelihoods(draws, p, key, x):
    """Of values between 0 and 1, of another draw's by a weight of its own, and of what is linear in another draw."""
    k1, k2, k3 = jax.random.split(key, 3)
    h = draws.bernoulli(k1, x @ p["in"], values=(-1, 1))
    z = draws.categorical(k2, jnp.outer((h @ p["square"])[:2], jnp.asarray([0.5, -1.0, 0.3], x.dtype)))
    g = draws.bernoulli(k3, p["bias"])
    seen = h @ p["back"]
    value = -0.3 * jnp.sum(optax.sigmoid_binary_cross_entropy(seen, jax.nn.sigmoid(x)))
    mixed = jax.nn.one_hot(z, 3).sum(0) @ p["square"]
    value += 2 * jnp.sum(optax.sigmoid_binary_cross_entropy(mixed, (g @ p["square"].T) * x[0]))
    back = g @ p["square"]
    return value - jnp.sum(optax.sigmoid_binary_cross_entropy(back, h)) + jnp.sum(back) - jnp.sum(seen * x)


def sampled_entropy(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    a1 = x @ p["in"]
    h1 = draws.bernoulli(k1, a1, values=(0.1, 0.7))
    a2 = h1 @ p["square"]
    h2 = draws.bernoulli(k2, a2)
    s1 = (h1 - 0.1) / 0.6
    log_q = jnp.sum(s1 * a1 - jax.nn.softplus(a1)) + jnp.sum(h2 * a2 - jax.nn.softplus(a2))
    return jnp.sum((h1 @ p["back"] - x) ** 2) + jnp.sum(h2 * p["bias"]) - log_q


def skip_connections(draws, p, key, x):
    k1, k2, k3 = jax.random.split(key, 3)
    h1 = draws.bernoulli(k1, x @ p["in"])
    h2 = draws.bernoulli(k2, h1 @ p["square"])
    h3 = draws.bernoulli(k3, h1 @ p["square"].T + (2 * h2 - 1) @ p["square"] + x @ p["in"])
    return jnp.sum(jnp.tanh(h3 @ p["back"])) - 0.1 * jnp.sum(h1) + jnp.sum(h2 * h3)


def nonlinear(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    h1 = draws.bernoulli(k1, x @ p["in"])
    h2 = draws.bernoulli(k2, jax.nn.leaky_relu(h1 @ p["square"], 0.3) @ p["square"] + p["bias"])
    return jnp.sum(jnp.log1p(jnp.exp(jnp.tanh(h2 @ p["back"]) * x)))


def embedding(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    z = draws.categorical(k1, jnp.outer((x @ p["in"])[:2], jnp.asarray([0.5, -1.0, 0.3], x.dtype)))
    rows = p["square"][z]
    h = draws.bernoulli(k2, rows.sum(0) + jax.nn.one_hot(z, 3).reshape(-1)[:3])
    return jnp.sum(h * p["bias"]) + p["square"][z[0], z[1]] + jnp.sum(jnp.where(z == 1, p["bias"][:2], 0.0))


def categorical_likelihood(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    h = draws.bernoulli(k1, x @ p["in"])
    z = draws.categorical(k2, h @ p["square"])
    a = h @ p["square"] + jax.nn.one_hot(z, 3) @ p["square"]
    label = jnp.asarray(2)
    loss = optax.softmax_cross_entropy_with_integer_labels(a, label)
    return loss - jax.nn.log_softmax(2 * a)[label] + jax.nn.log_softmax(a + 1.0)[z]


def indexed_by_draw(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    z = draws.categorical(k1, x @ p["in"])
    expert = jax.lax.switch(z, [jnp.tanh, jnp.sin, jnp.square], p["bias"])
    b = draws.bernoulli(k2, expert[0])
    return jax.lax.cond(b > 0.5, lambda v: jnp.sum(v), lambda v: jnp.prod(v), expert) + b * expert[z]


def scanned(draws, p, key, x):
    def step(state, key):
        infected = draws.bernoulli(key, 2 * jnp.mean(state) - 1 + p["bias"][0] * state)
        return infected, jnp.sum(infected)

    _, counts = jax.lax.scan(step, (x[:2] > 0).astype(x.dtype), jax.random.split(key, 3))
    return jnp.sum((counts - p["bias"]) ** 2)


def mapped_inside(draws, p, key, x):
    keys = jax.random.split(key, 3)
    h = jax.vmap(lambda k, a: draws.bernoulli(k, a))(keys, x @ p["in"])
    more = jax.lax.map(lambda pair: draws.bernoulli(pair[0], pair[1]), (jax.random.split(keys[0], 3), p["square"] @ h))
    return jnp.sum(jnp.exp(more * h))


def checkpointed(draws, p, key, x):
    @jax.checkpoint
    def block(key, x):
        return draws.bernoulli(key, jnp.sin(x @ p["in"]))

    h = block(key, x)
    return jnp.sum(jax.checkpoint(lambda h: jnp.cos(h @ p["back"]))(h) * x)


def weights_by_example(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    h = draws.bernoulli(k1, x @ p["in"])
    g = draws.bernoulli(k2, h @ (p["square"] * x[0]))
    a = g @ (p["back"] * x[3]) * h[0]
    return jnp.sum(jax.nn.softplus(a) * x)


def masked(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    h = draws.bernoulli(k1, x @ p["in"])
    allowed = jnp.asarray([True, False, True])
    z = draws.categorical(k2, jnp.where(allowed, h @ p["square"], -jnp.inf))
    return p["bias"][z] * h[0]


def masked_by_what_is_looked_up(draws, p, key, x):
    k1, k2, k3 = jax.random.split(key, 3)
    z = draws.categorical(k1, x @ p["in"])
    h = draws.bernoulli(k2, p["square"][z])
    forbidden = jnp.asarray([[False, True, True], [False, False, True], [False, True, False]])
    g = draws.bernoulli(k3, jnp.where(forbidden[z], -jnp.inf, jnp.tanh(h @ p["square"]) + p["bias"]))
    return g @ p["back"][:, 0] + jnp.sum(g) * h[0]


def counts(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    z = draws.categorical(k1, jnp.stack([x[:3], p["bias"]], axis=-1))
    number = jnp.sum(z == 1)
    h = draws.bernoulli(k2, number.astype(x.dtype) / 3 * p["bias"][0] + 0.1)
    return (number.astype(x.dtype) - p["bias"][1]) ** 2 * h + jnp.argmax(z).astype(x.dtype) * 0.1


def scalar_draws(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    a = draws.bernoulli(k1, p["bias"][0])
    b = draws.bernoulli(k2, p["bias"][1] * a + x[0])
    return (a - 0.3) ** 2 * p["bias"][2] + a * b


def shared_sum(draws, p, key, x):
    h = draws.bernoulli(key, x @ p["in"])
    total = jnp.sum(h * p["bias"])
    return jnp.sum(total + h * x[:3]) + 0.5 * total - jnp.sum(jnp.stack([total, -total, 2 * total]))


def shared_sum_of_two(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    h = draws.bernoulli(k1, x @ p["in"])
    g = draws.bernoulli(k2, h @ p["square"])
    total = jnp.sum(h * p["bias"]) - 2 * jnp.sum(g * x[:3])
    return jnp.sum(jnp.broadcast_to(total, (4,))) + jnp.sum(jnp.outer(x, total * p["bias"]))


def functions_with_derivatives_of_their_own(draws, p, key, x):
    h = draws.bernoulli(key, x @ p["in"])
    known = jax.nn.softplus(jnp.asarray([0.1, -1.0, 0.5], x.dtype))
    value = jnp.sum(jax.nn.relu(h - 0.3) * p["bias"] + jax.nn.softplus(h) * x[:3])
    return value + jnp.sum(jnp.logaddexp(p["bias"], h) * known) + jnp.sum(jax.nn.relu(p["bias"]) * h)


def product_of_draws(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    h = draws.bernoulli(k1, x @ p["in"], values=(-1, 1))
    g = draws.bernoulli(k2, h * h[::-1] * p["bias"])
    return jnp.prod(h + 0.5) * jnp.sum(g)


def reward_observed(draws, p, key, x):
    k1, k2 = jax.random.split(key)
    h = draws.bernoulli(k1, x @ p["in"])
    z = draws.categorical(k2, h @ p["square"])
    return draws.observed(jnp.asarray([1.0, 0.2, -0.5])[z] * x[0]) + 0.1 * jnp.sum(h * p["bias"])


PROGRAMS = {
    function.__name__: function
    for function in (
        bandit,
        elbo_plain,
        elbo_two_layers,
        weighted_likelihoods,
        sampled_entropy,
        skip_connections,
        nonlinear,
        embedding,
        categorical_likelihood,
        indexed_by_draw,
        scanned,
        mapped_inside,
        checkpointed,
        weights_by_example,
        masked,
        masked_by_what_is_looked_up,
        counts,
        scalar_draws,
        shared_sum,
        shared_sum_of_two,
        functions_with_derivatives_of_their_own,
        product_of_draws,
        reward_observed,
    )
}


def parameters(dtype=jnp.float64):
    k = jax.random.split(jax.random.key(3), 5)
    return {
        "in": jax.random.normal(k[0], (4, 3), dtype),
        "square": jax.random.normal(k[1], (3, 3), dtype),
        "back": jax.random.normal(k[2], (3, 4), dtype),
        "bias": jax.random.normal(k[3], (3,), dtype),
        "visible": jax.random.normal(k[4], (4,), dtype),
    }


def example(dtype=jnp.float64):
    return jnp.asarray([1.0, 0.0, 1.0, 1.0], dtype)
