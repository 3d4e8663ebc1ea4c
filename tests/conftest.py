"""Strictness of the whole suite: annotations are checked, and ranks and dtypes are never promoted silently."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jaxtyping
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jaxtyping.install_import_hook("hnca", "beartype.beartype")


@pytest.fixture
def float64():
    """Runs a test with JAX's default float being float64; programs run once, so the compiler need not try hard."""
    jax.config.update("jax_disable_most_optimizations", True)
    with jax.enable_x64(True):
        yield
    jax.config.update("jax_disable_most_optimizations", False)
