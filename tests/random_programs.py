"""Programs at random: what a user may write, put together by a seed, on shapes that can be enumerated.

Each is a function of `(draws, p, key, x)`, as in the registry of programs, and has from one to three draws, whose
logits and whose worth are expressions of everything before them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

UNARY = [
    jnp.tanh,
    jax.nn.sigmoid,
    jax.nn.softplus,
    jax.nn.log_sigmoid,
    jnp.negative,
    jnp.square,
    jnp.sin,
    jnp.abs,
    lambda a: 2 * a - 1,
    lambda a: 1 - a,
    lambda a: jnp.logaddexp(0.0, -a),
    lambda a: a[::-1],
    jnp.cumsum,
    jax.nn.log_softmax,
    jax.nn.softmax,
    lambda a: a - jnp.mean(a),
    lambda a: jnp.broadcast_to(jnp.sum(a), a.shape),
    lambda a: jnp.stack([a[0], a[0]]),
    lambda a: jnp.where(a > 0.3, a, 0.1 * a),
    lambda a: jax.nn.relu(a + 0.05),
    lambda a: a / 3,
    lambda a: jnp.log1p(a**2),
    lambda a: jnp.full(a.shape, jax.nn.logsumexp(a)),
    jax.lax.stop_gradient,
    jnp.round,
]
BINARY = [
    jnp.add,
    jnp.subtract,
    jnp.multiply,
    jnp.multiply,
    lambda a, b: a / (1.5 + b**2),
    jnp.maximum,
    lambda a, b: jnp.where(a > b, a, b * b),
    lambda a, b: optax.sigmoid_binary_cross_entropy(a, b),
    lambda a, b: a * jax.nn.log_sigmoid(b) + (1 - a) * jax.nn.log_sigmoid(-b),
    lambda a, b: a * b - jax.nn.softplus(b),
    lambda a, b: jax.nn.softmax(a) * jax.nn.log_softmax(b),
    lambda a, b: optax.softmax_cross_entropy(a, jax.nn.softmax(b)) * a,
    lambda a, b: jnp.concatenate([a[:1], b[1:]]),
    lambda a, b: jnp.full(a.shape, a @ b),
    lambda a, b: (a > b).astype(a.dtype),
    jnp.logaddexp,
]
VALUES = [(0, 1), (0, 1), (-1, 1), (0.1, 0.7)]


def random_program(seed):
    """Returns the program of a seed."""

    def program(draws, p, key, x):
        return _Writer(np.random.default_rng(seed), draws, p, key, x).write()

    return program


class _Writer:
    """A program while it is being put together: its values so far, all of shape (2,), and its draws of categories."""

    def __init__(self, random, draws, p, key, x):
        self.random, self.draws, self.p, self.key = random, draws, p, key
        self.values = [x[:2], p["bias"][:2], p["visible"][1:3]]
        self.drawn = []

    def write(self):
        for _ in range(self.random.integers(1, 4)):
            self.expressions(3)
            self.draw()
        self.expressions(6)
        total = 0.0
        for value in self.drawn[-2:] + self.values[-4:]:
            total = total + self.random.choice([1.0, -0.3, 2.0]) * jnp.sum(value)
        return total

    def pick(self):
        recent = self.random.random() < 0.6
        pool = self.drawn + self.values[-3:] if recent else self.values
        return pool[self.random.integers(len(pool))]

    def expressions(self, most):
        for _ in range(self.random.integers(1, most + 1)):
            kind = self.random.random()
            if kind < 0.3:
                made = UNARY[self.random.integers(len(UNARY))](self.pick())
            elif kind < 0.7:
                made = BINARY[self.random.integers(len(BINARY))](self.pick(), self.pick())
            else:
                made = self.pick() @ self.p["square"][:2, :2] + self.random.choice([0.0, 1.0]) * self.p["bias"][1:]
            # Bounded, so that rounding is no error.
            self.values.append(made)

    def draw(self):
        self.key, key = jax.random.split(self.key)
        logits = 2 * jnp.tanh(self.pick()) if self.random.random() < 0.5 else self.pick()
        kind = self.random.random()
        if kind < 0.6:
            values = VALUES[self.random.integers(len(VALUES))]
            self.drawn.append(self.draws.bernoulli(key, logits, values=values))
        elif kind < 0.8:
            z = self.draws.categorical(key, jnp.concatenate([logits, self.p["bias"][:1]]))
            ways = [self.p["square"][z, :2], jax.nn.one_hot(z, 3)[:2], jnp.where(z == 1, self.pick(), logits)]
            self.drawn.append(ways[self.random.integers(len(ways))])
        else:
            z = self.draws.categorical(key, jnp.outer(logits, self.p["bias"]))
            rows = self.p["square"][z]
            ways = [rows.sum(1), z.astype(rows.dtype), rows[:, 0] * logits, self.p["bias"][z]]
            self.drawn.append(ways[self.random.integers(len(ways))])
