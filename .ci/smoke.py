"""What `.ci/matrix` asks of an installation: its first program is trained and proved, and it knows what it has.

Its arguments: `core` or `experiments`, by what is installed; `True` or `False`, whether there is a C++ compiler.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

import hnca
from hnca.messages import compiled


def loss(params, key, x):
    """Returns how badly an image is told from a binary code of it."""
    code = hnca.bernoulli(key, x @ params["encoder"])
    return jnp.sum((code @ params["decoder"] - x) ** 2)


def train(params, xs, updates=150):
    """Returns the losses of as many updates by Adam."""
    optimiser = optax.adam(3e-2)
    state = optimiser.init(params)
    step = jax.jit(hnca.value_and_grad(loss, in_axes=(None, 0, 0)))
    losses = []
    for update in range(updates):
        value, gradient = step(params, jax.random.split(jax.random.key(update), len(xs)), xs)
        changes, state = optimiser.update(gradient, state)
        params = optax.apply_updates(params, changes)
        losses.append(float(value))
    return losses


def main(extra, compiles):
    """Raises AssertionError for what is not as it should be."""
    installed = Path(hnca.__file__).parent
    assert installed.is_relative_to(sysconfig.get_path("purelib")), installed
    assert (installed / "py.typed").exists()
    status = compiled.status()
    assert status.compiled == compiles, status

    params = {"encoder": jnp.zeros((8, 4)), "decoder": jnp.full((4, 8), 0.01)}
    losses = train(params, jnp.eye(8).repeat(4, axis=0))
    assert losses[-1] < 0.7 * losses[0], losses
    small = {"encoder": jnp.full((3, 2), 0.3), "decoder": jnp.array([[0.5, 0.1, -0.2], [0.4, -0.3, 0.7]])}
    with jax.enable_x64(True):
        hnca.check_unbiased(loss, (small, jax.random.key(0), jnp.array([1.0, 0.0, 1.0])))

    answer = subprocess.run([Path(sys.executable).parent / "hnca", "info"], capture_output=True, text=True, check=False)
    if extra == "experiments":
        assert answer.returncode == 0, answer.stderr
    else:
        assert answer.returncode == 2, answer
        assert "pip install 'hnca[experiments]'" in answer.stderr


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "True")
