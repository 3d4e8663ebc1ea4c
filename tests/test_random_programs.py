"""Programs put together at random are exact; more of them by `python tests/test_random_programs.py 100 200`."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest
import random_programs

import hnca


def error_of(seed):
    p, x = programs.parameters(), programs.example() + 0.25
    program = random_programs.random_program(seed)
    found = hnca.check_unbiased(lambda p, key, x: program(hnca, p, key, x), (p, jax.random.key(0), x))
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(found.gradient))
    return found.error


# Draws through softplus and relu, logs of sums, and weights that are a sum of a number and of what is computed.
@pytest.mark.filterwarnings("ignore:hnca. jax.lax.stop_gradient")
@pytest.mark.parametrize("seed", [20, 23, 25, 71])
@pytest.mark.sweep
def test_a_random_program_is_exact(seed, float64, quick_compilation):
    assert error_of(seed) < 1e-12


def test_programs_at_random_are_programs():
    """What is put together can be run, and differs by seed."""
    p, x = programs.parameters(jnp.float32), programs.example(jnp.float32)
    values = [random_programs.random_program(seed)(hnca, p, jax.random.key(0), x) for seed in range(3)]
    assert np.all(np.isfinite(values))
    assert len({float(value) for value in values}) == 3


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    for number in range(*map(int, sys.argv[1:])):
        try:
            print(number, error_of(number), flush=True)
        except Exception as error:
            print(number, type(error).__name__, error, flush=True)
