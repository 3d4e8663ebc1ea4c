"""The compiled kernel as a JAX function, the energies of both kernels, and what happens where it cannot be built."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hnca.messages import compiled, product_message, softplus_sum
from hnca.messages.bernoulli_pair import bernoulli_entropy_contrast, bernoulli_mean_contrast
from hnca.messages.compiled import build, choice
from hnca.messages.energy import shifted_mean, shifted_mean_energy


@pytest.fixture
def kernel():
    if not compiled.status().compiled:
        pytest.skip(f"the compiled kernel is not used here: {compiled.status().detail}")


def draw(batch, parents, children, scale=0.5, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(batch + parents + children), 3)
    rise = scale * jax.random.normal(keys[0], (parents, children), dtype)
    logits = 5 * jax.random.normal(keys[1], (batch, children), dtype)
    return rise, logits, jax.random.bernoulli(keys[2], 0.5, (batch, parents)).astype(dtype)


def direct_energy(rise, logits, state):
    rise, logits, state = (np.asarray(a, np.float64) for a in (rise, logits, state))
    z = logits[:, None] + (1 - 2 * state)[:, :, None] * rise[None]
    terms = z * np.exp(-np.logaddexp(0, -z))
    return terms.sum(-1), np.abs(terms).sum(-1) + np.abs(logits).sum(-1)[:, None]


def energy(*arguments):
    return compiled.growth_and_energy(*arguments)[1]


def growth(*arguments):
    return compiled.growth_and_energy(*arguments)[0]


def slope(logits):
    return jnp.cos(3 * logits)


def mean(rise, logits, state):
    return compiled.mean(rise, logits, slope(logits), state)


def pure_mean(rise, logits, state):
    return shifted_mean(rise, logits, slope(logits), state)


def taken(logits):
    """Values of children, some of them between up and low."""
    return jnp.where(logits > 4, 0.3, (jnp.sin(7 * logits) > 0).astype(logits.dtype)).astype(logits.dtype)


def message(rise, logits, state):
    return compiled.message(rise, logits, taken(logits), state)


def pure_message(rise, logits, state):
    return product_message(rise, 1.0, logits, taken(logits), state)


def pure_growth(rise, logits, state):
    return softplus_sum(rise, 1.0, logits, state)


@pytest.mark.parametrize("function", [shifted_mean_energy, energy])
@pytest.mark.parametrize("scale", [1e-3, 0.5, 5.0, 30.0, 1e4])
@pytest.mark.parametrize("sizes", [(3, 1, 1), (4, 21, 50), (2, 5, 1000)])
@pytest.mark.sweep
def test_mean_energies_agree_with_float64(function, scale, sizes, kernel):
    arguments = draw(*sizes, scale)
    expected, magnitude = direct_energy(*arguments)
    found = jax.jit(function)(*arguments)
    assert np.all(np.abs(found - expected) <= 1e-5 * magnitude + 1e-5)


@pytest.mark.parametrize("function", [pure_mean, mean])
@pytest.mark.parametrize("scale", [1e-3, 0.5, 5.0, 30.0, 1e4])
@pytest.mark.parametrize("sizes", [(3, 1, 1), (4, 21, 50), (2, 5, 1000)])
def test_weighted_means_agree_with_float64(function, scale, sizes, kernel):
    rise, logits, state = draw(*sizes, scale)
    r, a, s, w = (np.asarray(array, np.float64) for array in (rise, logits, state, slope(logits)))
    z = a[:, None] + (1 - 2 * s)[:, :, None] * r[None]
    expected = np.sum(w[:, None] * np.exp(-np.logaddexp(0, -z)), axis=-1)
    found = jax.jit(function)(rise, logits, state)
    assert np.all(np.abs(found - expected) <= 1e-5 * np.sum(np.abs(w), axis=-1, keepdims=True))


@pytest.mark.parametrize("scale", [1e-3, 0.5, 5.0, 30.0, 1e4])
@pytest.mark.parametrize("sizes", [(3, 1, 1), (4, 21, 50), (2, 5, 1000)])
def test_growths_agree_with_float64(scale, sizes, kernel):
    rise, logits, state = draw(*sizes, scale)
    r, a, s = (np.asarray(array, np.float64) for array in (rise, logits, state))
    z = a[:, None] + (1 - 2 * s)[:, :, None] * r[None]
    terms = np.logaddexp(0, z) - np.logaddexp(0, a)[:, None]
    found = jax.jit(growth)(rise, logits, state)
    assert np.all(np.abs(found - terms.sum(-1)) <= 1e-5 * np.abs(terms).sum(-1) + 1e-5)


@pytest.mark.parametrize("scale", [1e-3, 0.5, 30.0])
def test_certain_children_say_nothing(scale, kernel):
    """A child that is certain to be what it is, whatever the parent, must leave no rounding error of large terms."""
    rise, logits, state = draw(3, 9, 40, scale)
    logits = jnp.where(logits > 0, 1e3, -1e3)
    assert np.all(np.asarray(compiled.message(rise, logits, (logits > 0).astype(logits.dtype), state)) == 0)


@pytest.mark.usefixtures("float64", "kernel")
@pytest.mark.parametrize(
    ("function", "reference"),
    [
        (message, pure_message),
        (growth, pure_growth),
        (energy, shifted_mean_energy),
        (mean, pure_mean),
    ],
)
class TestFunction:
    @pytest.mark.sweep
    def test_it_may_be_mapped_over_anything(self, function, reference):
        rise, logits, state = draw(6, 7, 19, dtype=jnp.float64)
        expected = reference(rise, logits, state)
        np.testing.assert_allclose(jax.vmap(function, (None, 0, 0))(rise, logits, state), expected, rtol=1e-12)
        rises = jnp.stack([rise, 2 * rise, -rise])
        by_seed = jax.jit(jax.vmap(function, (0, None, None)))(rises, logits, state)
        for one, found in zip(rises, by_seed, strict=True):
            np.testing.assert_allclose(found, reference(one, logits, state), rtol=1e-12)
        twice = jax.vmap(jax.vmap(function, (None, 0, 0)), (0, None, None))(rises, logits, state)
        np.testing.assert_allclose(twice, by_seed, rtol=1e-12)

    def test_examples_mapped_over_share_the_weight(self, function, reference):
        rise, logits, state = draw(300, 64, 64, dtype=jnp.float64)
        program = jax.jit(jax.vmap(function, (None, 0, 0))).lower(rise, logits, state).compile()
        assert program.memory_analysis().temp_size_in_bytes < 8 * rise.size * 30

    @pytest.mark.sweep
    def test_its_derivative_is_that_of_the_reference(self, function, reference):
        arguments = draw(3, 4, 5, dtype=jnp.float64)
        directions = jax.tree.map(jnp.cos, arguments)[:2]

        def along(which):
            return jax.jvp(lambda r, a: which(r, a, arguments[2]), arguments[:2], directions)[1]

        np.testing.assert_allclose(along(function), along(reference), rtol=1e-12)
        assert np.all(np.asarray(along(function)) != 0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("wish", ["auto", "jax"])
def test_entropy_contrasts_are_the_enumerated_ones(wish, monkeypatch):
    monkeypatch.setenv(choice.VARIABLE, wish)
    weight, logits, state = draw(4, 6, 9, dtype=jnp.float64)

    def entropy(shift):
        a = logits[:, None] + shift
        return jnp.sum(jax.nn.softplus(a) - a * jax.nn.sigmoid(a), axis=-1)

    up, down = (1 - state)[:, :, None] * 2.0 * weight[None], -state[:, :, None] * 2.0 * weight[None]
    found = bernoulli_entropy_contrast(weight, 2.0, logits, state)
    np.testing.assert_allclose(found, entropy(up) - entropy(down), rtol=1e-11, atol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("wish", ["auto", "jax"])
def test_contrasts_of_means_are_the_enumerated_ones(wish, monkeypatch):
    monkeypatch.setenv(choice.VARIABLE, wish)
    weight, logits, state = draw(4, 6, 9, dtype=jnp.float64)
    logits = logits.at[0, 0].set(jnp.inf).at[1, 1].set(-jnp.inf)
    slopes = jnp.cos(jnp.arange(36.0).reshape(4, 9))

    def total(shift):
        return jnp.sum(slopes[:, None] * jax.nn.sigmoid(logits[:, None] + shift), axis=-1)

    up, down = (1 - state)[:, :, None] * 2.0 * weight[None], -state[:, :, None] * 2.0 * weight[None]
    found = bernoulli_mean_contrast(weight, 2.0, logits, slopes, state)
    np.testing.assert_allclose(found, total(up) - total(down), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("scale", [0.5, 5.0, 100.0])
def test_logits_that_are_no_numbers_give_no_numbers(scale, kernel):
    rise, logits, state = draw(3, 5, 40, scale)
    for function in (message, growth, energy, mean):
        found = np.asarray(function(rise, logits.at[1, 7].set(jnp.nan), state))
        assert np.all(np.isnan(found[1]))
        assert np.all(np.isfinite(found[[0, 2]]))


def test_weights_that_are_no_numbers_give_no_numbers(kernel):
    rise, logits, state = draw(2, 5, 20)
    for function in (message, growth, energy):
        found = np.asarray(function(rise.at[1, 3].set(jnp.nan), logits, state))
        assert np.all(np.isnan(found[:, 1]))
        assert np.all(np.isfinite(found[:, 4]))


def test_pure_jax_may_be_asked_for(monkeypatch):
    monkeypatch.setenv(choice.VARIABLE, "jax")
    assert compiled.status() == (False, "HNCA_KERNEL=jax", 0)
    assert not compiled.is_used(jnp.float32)
    monkeypatch.setenv(choice.VARIABLE, "fast")
    with pytest.raises(ValueError, match="HNCA_KERNEL='fast'; expected 'auto' or 'jax'"):
        compiled.status()


def test_short_floats_go_by_pure_jax():
    assert not compiled.is_used(jnp.bfloat16)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "no C\\+\\+ compiler found"),
        ("echo 'flips.cc:1: error: no such thing' >&2; exit 1", "failed: .*no such thing"),
    ],
)
def test_without_a_working_compiler_pure_jax_is_used(script, reason, tmp_path, monkeypatch):
    compiler = tmp_path / "compiler"
    if script is not None:
        compiler.write_text(f"#!/bin/sh\n{script}\n")
        compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(build.BuildError, match=reason):
        build.built_library()
    assert not choice._registered.__wrapped__().compiled


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch, kernel):
    (tmp_path / "hnca").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(build.BuildError, match="cannot be written"):
        build.built_library()
