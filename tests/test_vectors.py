"""The compiled kernel as every generation of CPUs has it: on one with AVX-512 the others are used by nobody else."""

import time
from statistics import median

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hnca.messages import compiled
from hnca.messages.compiled import choice

SIZES = [(3, 1, 1), (4, 21, 50), (2, 5, 1000)]


@pytest.fixture(params=[16, 32, 64], autouse=True)
def vectors(request):
    """How long the kernel's vectors are, in bytes."""
    if not compiled.status().compiled:
        pytest.skip(f"the compiled kernel is not used here: {compiled.status().detail}")
    used = choice.use_vectors_up_to(request.param)
    if used == request.param:
        yield used
    choice.use_vectors_up_to(choice.LONGEST_VECTOR)
    if used != request.param:
        pytest.skip(f"this CPU has no vectors of {request.param} bytes")


def draw(batch, parents, children, scale, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(batch + parents + children), 4)
    rise = scale * jax.random.normal(keys[0], (parents, children), dtype)
    logits = 5 * jax.random.normal(keys[1], (batch, children), dtype)
    state, taken = (
        jax.random.bernoulli(key, 0.5, (batch, size)).astype(dtype)
        for key, size in zip(keys[2:], (parents, children), strict=True)
    )
    return rise, logits, taken, state


def every_sum(rise, logits, taken, state):
    """Message, growth, energy and mean, by the kernel."""
    return (
        compiled.message(rise, logits, taken, state),
        *compiled.growth_and_energy(rise, logits, state),
        compiled.mean(rise, logits, jnp.cos(logits), state),
    )


def direct_terms(rise, logits, taken, state):
    """The terms of the same sums in float64, `[batch, parents, children]`."""
    r, a, x, s = (np.asarray(array, np.float64) for array in (rise, logits, taken, state))
    z = a[:, None] + (1 - 2 * s)[:, :, None] * r[None]
    growth = np.logaddexp(0, z) - np.logaddexp(0, a)[:, None]
    message = (1 - 2 * s)[:, :, None] * (x[:, None] * (z - a[:, None]) - growth)
    mean = np.exp(-np.logaddexp(0, -z))
    return message, growth, z * mean, np.cos(a)[:, None] * mean


@pytest.mark.parametrize("scale", [1e-3, 0.5, 5.0, 30.0, 1e4])
@pytest.mark.parametrize("sizes", SIZES)
def test_every_sum_agrees_with_float64(sizes, scale):
    arguments = draw(*sizes, scale)
    for found, terms in zip(jax.jit(every_sum)(*arguments), direct_terms(*arguments), strict=True):
        near = 1e-5 * np.abs(terms).sum(-1) + 1e-5 * (1 + np.abs(arguments[1]).sum(-1)[:, None])
        assert np.all(np.abs(np.asarray(found) - terms.sum(-1)) <= near)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("sizes", SIZES)
def test_every_sum_is_the_enumerated_one(sizes):
    arguments = draw(*sizes, 0.5, jnp.float64)
    for found, terms in zip(jax.jit(every_sum)(*arguments), direct_terms(*arguments), strict=True):
        np.testing.assert_allclose(found, terms.sum(-1), rtol=1e-11, atol=1e-12 * np.abs(terms).sum())


def test_long_vectors_are_not_far_slower_than_short_ones(vectors):
    """Vectors longer than the CPU's own make the same numbers, ten times slower than if there were none."""
    arguments = draw(50, 200, 784, 0.1)
    sums = jax.jit(every_sum)
    jax.block_until_ready(sums(*arguments))
    times: dict[int, list[float]] = {16: [], vectors: []}
    for _ in range(9):
        for most, taken in times.items():
            choice.use_vectors_up_to(most)
            begun = time.perf_counter()
            jax.block_until_ready(sums(*arguments))
            taken.append(time.perf_counter() - begun)
    assert median(times[vectors]) < 2 * median(times[16])
