"""The exact gradient of a program, by enumeration: the judge of `hnca.programs`, with which it shares no code."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np


class Oracle:
    """Hands out chosen values in place of draws, and multiplies up their probability. Shares no code with programs."""

    def __init__(self, chosen):
        self.chosen, self.log_probability = iter(chosen), 0.0

    def bernoulli(self, key, logits, *, values=(0, 1)):
        up = self._next(logits.shape)
        self.log_probability += jnp.sum(jnp.where(up == 1, jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)))
        return jnp.where(up == 1, values[1], values[0]).astype(logits.dtype)

    def categorical(self, key, logits):
        taken = self._next(logits.shape[:-1])
        picked = jnp.take_along_axis(jax.nn.log_softmax(logits), taken[..., None], axis=-1)
        self.log_probability += jnp.sum(picked)
        return taken

    def observed(self, value):
        return value

    def _next(self, shape):
        count = int(np.prod(shape, dtype=int))
        return jnp.asarray([next(self.chosen) for _ in range(count)], jnp.int32).reshape(shape)


class Counting(Oracle):
    """Notes how many values each unit can take."""

    def __init__(self):
        super().__init__(itertools.repeat(0))
        self.sizes = []

    def bernoulli(self, key, logits, *, values=(0, 1)):
        self.sizes += [2] * logits.size
        return super().bernoulli(key, logits, values=values)

    def categorical(self, key, logits):
        self.sizes += [logits.shape[-1]] * (logits.size // logits.shape[-1])
        return super().categorical(key, logits)


def exact_gradient(program, p, x):
    """Returns the gradient of the expectation, without the states that cannot be."""
    counting = Counting()
    program(counting, p, jax.random.key(0), x)

    def run(p, chosen):
        oracle = Oracle(chosen)
        value = program(oracle, p, jax.random.key(0), x)
        return oracle.log_probability, value

    states = list(itertools.product(*map(range, counting.sizes)))
    possible = [chosen for chosen in states if np.isfinite(run(p, chosen)[0])]

    def expectation(p):
        return sum(jnp.exp(log_probability) * value for log_probability, value in (run(p, c) for c in possible))

    return jax.grad(expectation)(p)
