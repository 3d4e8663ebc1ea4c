"""The parts of an experiment: agents, intervals, tables, seeds together and alone."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from hnca.experiments import bandit
from hnca.experiments.data.images import Images
from hnca.experiments.data.mnist import MNIST
from hnca.experiments.figures.intervals import confidence_interval
from hnca.experiments.figures.tables import final_table
from hnca.experiments.methods import estimator_of
from hnca.experiments.runs.display import LiveDisplay, PlainDisplay, display
from hnca.experiments.runs.running import experiment_of
from hnca.experiments.settings import BanditSettings, VAESettings
from hnca.experiments.store import Row
from hnca.experiments.training.devices import Placement
from hnca.experiments.training.epochs import train

pytestmark = pytest.mark.usefixtures("quick_compilation")


def images(count):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 784), dtype=np.uint8)
    return Images(jnp.asarray(pixels), jnp.arange(count, dtype=jnp.int32) % 10)


EXPERIMENTS = {
    "bandit": (BanditSettings, "hnca+baseline"),
    "vae": (VAESettings, "hnca+baseline"),
    "vae by other passes": (VAESettings, "loo-independent"),
}


def settings_of(name, **changes):
    kind, method = EXPERIMENTS[name]
    common = {"layers": (2,), "width": 6, "epochs": 3, "seeds": 2, "batch_size": 10, "learning_rate": 0.01}
    more = {"bound_samples": 4} if kind is VAESettings else {}
    return kind(**{**common, **more, **changes}), method


def trained(name, **changes):
    settings, method = settings_of(name, **changes)
    experiment = experiment_of(settings, MNIST.facts)
    return list(
        train(
            experiment,
            settings,
            2,
            estimator_of(method),
            images(40),
            images(20),
            Placement(1, settings.seeds, settings.batch_size),
        )
    )


def test_the_agent_is_the_papers():
    network = bandit.agent(3, 200, jax.random.key(0))
    assert network.order == ("hidden1", "hidden2", "hidden3", "action")
    assert [network.layers[name].units for name in network.order] == [200, 200, 200, 1]
    assert network.layers["hidden2"].values == (-1.0, 1.0)
    count = sum(leaf.size for leaf in jax.tree.leaves(network))
    assert count == 785 * 200 + 2 * 201 * 200 + 201 * 10


def test_the_torso_is_the_papers():
    network = bandit.agent(1, 200, jax.random.key(0), "conv")
    first, _, second, _, head = network.layers["hidden1"].conditional.stages
    assert first.weight.shape == (3, 3, 1, 16)
    assert second.weight.shape == (3, 3, 16, 16)
    assert head.weights[0].shape == (24 * 24 * 16, 200)
    assert float(jnp.max(jnp.abs(second.weight))) < 2 / 144**0.5
    np.testing.assert_allclose(jnp.std(second.weight), 0.88 / 144**0.5, rtol=0.05)  # of a normal cut off at 2


@pytest.mark.parametrize(
    ("name", "changes", "fields"),
    [
        ("bandit", {"torso": "conv"}, {"torso": "conv"}),
        ("vae", {"encoder": "nonlinear", "decoder": "nonlinear", "entropy": "sampled"}, {"encoder": "nonlinear"}),
    ],
)
@pytest.mark.thorough
def test_networks_with_deterministic_layers_train(name, changes, fields):
    settings, _ = settings_of(name, epochs=1, **changes)
    assert experiment_of(settings, MNIST.facts).identity().items() >= fields.items()
    (epoch,) = trained(name, epochs=1, **changes)
    assert all(np.all(np.isfinite(value)) for value in epoch.measures.values())
    shapes = {leaf.shape[1:] for leaf in jax.tree.leaves(epoch.trained) if hasattr(leaf, "shape")}
    assert ((3, 3, 1, 16) if name == "bandit" else (6, 6)) in shapes


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.sweep
def test_seeds_trained_together_are_the_seeds_trained_alone(name):
    """A seed's run does not depend on its company (to the rounding of a batched matrix product)."""
    alone, together = trained(name, seeds=1)[-1].measures, trained(name, seeds=3)[-1].measures
    assert set(alone) == set(together)
    for field in alone:
        np.testing.assert_allclose(alone[field][0], together[field][0], rtol=1e-4, atol=1e-6)
    assert len({float(v) for v in together["gradient_variance"]}) == 3


@pytest.mark.parametrize("name", ["bandit", "vae"])
@pytest.mark.sweep
def test_an_epoch_is_compiled_once(name, monkeypatch):
    calls = []
    kind = type(experiment_of(settings_of(name)[0], MNIST.facts))
    original = kind.estimate
    monkeypatch.setattr(kind, "estimate", lambda *a: calls.append(1) or original(*a))
    trained(name)
    assert len(calls) == 1


def test_the_interval_is_students():
    values = [1.0, 2.0, 4.0]
    mean, half_width = confidence_interval(values)
    np.testing.assert_allclose(mean, 7 / 3)
    np.testing.assert_allclose(half_width, 4.302653 * np.std(values, ddof=1) / 3**0.5, rtol=1e-6)
    assert np.isnan(confidence_interval([1.0]).half_width)
    assert confidence_interval([0.5]).text(4) == "0.5000"
    assert confidence_interval(values).text(1) == "2.3 ± 3.8"


def test_the_table_shows_the_last_epoch():
    measured = {"test_accuracy": 0.5, "log_gradient_variance": -9.0}
    rows = [
        Row("bandit", "hnca", {}, 1, s, e, {"train_accuracy": e / 10 + s / 100, **measured}, 0.5)
        for e in (1, 2)
        for s in (0, 1)
    ]
    console = Console(file=io.StringIO(), width=120)
    console.print(final_table(rows, bandit.Bandit.headings, 4))
    shown = console.file.getvalue()
    assert "epoch 2, mean over 2 seeds" in shown
    assert "0.2050 ± 0.0635" in shown
    narrow = Console(file=io.StringIO(), width=50)
    narrow.print(final_table(rows, bandit.Bandit.headings, 4))
    for part in ("layers", "HNCA", "0.2050", "0.0635", "0.5000", "-9.0000"):
        assert part in narrow.file.getvalue()


def test_the_display_is_plain_away_from_a_terminal():
    means = {"train_accuracy": 0.75, "test_accuracy": 0.7}
    plain = Console(file=io.StringIO(), width=120)
    with display(plain, "hnca, 1 hidden", 10, bandit.Bandit.headings, 4) as shown:
        shown.epoch(3, means, 900.0, 61.0)
    assert isinstance(shown, PlainDisplay)
    expected = "hnca, 1 hidden  epoch 3/10  train accuracy 0.7500, test accuracy 0.7000  900 updates/s, 01:01 left\n"
    assert plain.file.getvalue() == expected
    with display(plain, "hnca, 1 hidden", 10, bandit.Bandit.headings, 4) as shown:
        shown.epoch(1, means, 5.0, None)
    assert plain.file.getvalue().endswith("  5 updates/s, with compilation\n")
    terminal = Console(file=io.StringIO(), width=160, force_terminal=True)
    with display(terminal, "hnca, 1 hidden", 10, bandit.Bandit.headings, 4) as shown:
        shown.epoch(3, means, 900.0, 61.0)
    assert isinstance(shown, LiveDisplay)
    assert "train 0.750" in terminal.file.getvalue()
    narrow = Console(file=io.StringIO(), width=50, force_terminal=True)
    with display(narrow, "hnca, 1 hidden", 10, bandit.Bandit.headings, 4) as shown:
        shown.epoch(3, means, 900.0, 61.0)
    shown = narrow.file.getvalue()
    assert "train 0.750 01:01 left" in shown
    assert "…" not in shown
