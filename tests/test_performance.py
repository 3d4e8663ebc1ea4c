"""What an update costs beside backpropagation, and what it holds: ratios and bytes, with generous slack."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from jaxprs import equations_of

import hnca
from hnca.experiments.auto_encoder.networks import auto_encoder
from hnca.experiments.bandit import Bandit
from hnca.experiments.commands.main import main
from hnca.experiments.data import load_mnist
from hnca.experiments.data.images import on_device
from hnca.experiments.timing import messages
from hnca.experiments.timing.updates import Shape, time_updates
from hnca.experiments.vae import VAE

SLACK = 2.5
"""Times the ratio that is aimed at: other processes share the machine while this is measured."""


@pytest.mark.parametrize(("experiment", "aim"), [(Bandit(200), 1.3), (VAE(200, 1), 1.7)], ids=["bandit", "vae"])
@pytest.mark.thorough
def test_an_update_costs_about_what_backpropagation_costs(experiment, aim):
    images, _ = on_device(load_mnist())
    rows = time_updates(experiment, Shape(2, 200, 50, 1), ["hnca"], images, updates=20, repeats=7, measured=(False,))
    (_, row) = rows
    assert row.estimator == "hnca"
    assert row.ratio_to_backprop < SLACK * aim


@pytest.mark.parametrize("kernel", ["auto", pytest.param("jax", marks=pytest.mark.thorough)])
@pytest.mark.parametrize(
    ("width", "gigabytes"), [(200, 0.1), pytest.param(2048, 1.0, marks=pytest.mark.thorough)], ids=["200", "2048"]
)
def test_memory_is_never_the_product_of_batch_parents_and_children(width, gigabytes, kernel, monkeypatch):
    """At width 2048 and batch 256 that product would be 4.3 GB for two latent layers alone."""
    monkeypatch.setenv("HNCA_KERNEL", kernel)
    batch = 256 if width == 2048 else 50
    encoder, objective = jax.eval_shape(lambda key: auto_encoder(3, width, key), jax.random.key(0))
    image = jax.ShapeDtypeStruct((batch, 784), jnp.float32)

    def credits(encoder, objective, image, key):
        _, estimate = hnca.estimate(hnca.HNCA(), encoder, objective, {"image": image}, key=key)
        return eqx.filter(estimate, eqx.is_array)

    compiled = jax.jit(credits).lower(encoder, objective, image, jax.random.key(0)).compile()
    memory = compiled.memory_analysis()
    assert memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes < gigabytes * 1e9


def test_the_message_kernel_is_timed_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(messages, "SHAPES", ((3, 4, 5),))
    main(["bench", "--messages", "--repeats", "1", "--json", str(tmp_path / "rows.jsonl")])
    ways = [json.loads(line)["way"] for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert ways == ["matrix product", "message", "message, heavy weights", "message, pure JAX", "direct form"]
    assert "message kernel" in capsys.readouterr().out


def test_a_scan_is_not_written_out_once_for_every_value_in_it():
    """Each step changes the next, so that a draw is asked again by all that follow: cubic, and not beyond it."""

    def loss(p, key):
        def step(queue, key):
            served = hnca.bernoulli(key, p["rate"] + p["slope"] * queue)
            queue = jnp.clip(queue + 0.4 - served, 0.0, 5.0)
            return queue, queue + 0.8 * served

        return jnp.sum(jax.lax.scan(step, jnp.asarray(2.0), jax.random.split(key, 6))[1])

    p = {"rate": jnp.asarray(0.1), "slope": jnp.asarray(0.2)}
    written = list(equations_of(jax.make_jaxpr(hnca.grad(loss))(p, jax.random.key(0)).jaxpr))
    assert len(written) < 12_000
