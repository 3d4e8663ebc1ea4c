"""The completion of half images: its bounds by enumeration, and the command from what is typed to what is written."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import COMMON, images
from test_exact import arrays, largest_difference
from test_vimco import OfTheseSamples, over_tuples

import hnca
from hnca.experiments.commands.main import main
from hnca.experiments.completion import Completion
from hnca.experiments.data.images import Images
from hnca.experiments.methods import estimator_of
from hnca.experiments.settings import CompletionSettings
from hnca.joint_states import joint_states

pytestmark = pytest.mark.usefixtures("quick_compilation")

SHAPE = (3, 2)
"""Of an image: one row above, two below."""
PIXELS = jnp.asarray([[255, 0, 255, 255, 0, 255]], jnp.uint8)
COMPLETE = ["complete", *COMMON, "--test-samples", "2"]


def tiny(test_samples=100):
    """Returns the experiment, two layers of two units with biases, and the halves of an image."""
    experiment = Completion(2, 2, test_samples, SHAPE)
    made = experiment.build(2, jax.random.key(0))
    parameters, static = eqx.partition(made, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(parameters)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    leaves = [leaf + jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    x = jnp.asarray([1.0, 0.0])
    return experiment, eqx.combine(jax.tree.unflatten(structure, leaves), static), x, jnp.asarray([1.0, 1.0, 0.0, 1.0])


def by_hand(trained, x, y):
    """Returns `log p(h | x)` and `log p(y | h)` of every joint state h, from the weights alone."""
    network, objective = trained
    dense = [network.layers[name].conditional for name in ("hidden1", "hidden2")]
    dense.append(objective.components[0].layer.conditional)

    def log_prob(dense, below, above):
        logits = below @ dense.weights[0] + dense.bias[None]
        return jnp.sum(above * jax.nn.log_sigmoid(logits) + (1 - above) * jax.nn.log_sigmoid(-logits), axis=-1)

    states = jax.tree.map(jnp.asarray, joint_states(network))
    first, second = states["hidden1"], states["hidden2"]
    count = len(first)
    x, y = (jnp.broadcast_to(half, (count, *half.shape)) for half in (x, y))
    return log_prob(dense[0], x, first) + log_prob(dense[1], first, second), log_prob(dense[2], second, y)


@eqx.filter_jit
@eqx.filter_value_and_grad
def bound_of_two(trained, x, y):
    log_prior, log_likelihood = by_hand(trained, x, y)
    pairs = jnp.logaddexp(log_likelihood[:, None], log_likelihood[None, :]) - jnp.log(2)
    return jnp.sum(jnp.exp(log_prior[:, None] + log_prior[None, :]) * pairs)


@eqx.filter_jit
@eqx.filter_value_and_grad
def bound_of_one(trained, x, y):
    log_prior, log_likelihood = by_hand(trained, x, y)
    return jnp.sum(jnp.exp(log_prior) * log_likelihood)


def weighted(network, estimate, trace):
    results = estimate.value, arrays(estimate.gradient), arrays(estimate.objective_gradient)
    probability = jnp.exp(jnp.sum(network.log_prob(trace)))
    return jax.tree.map(lambda leaf: probability * leaf, results)


def assert_same(found, exact):
    bound, gradients = exact
    assert abs(float(found[0] - bound)) < 1e-10
    for part, wanted in zip(found[1:], gradients, strict=True):
        assert largest_difference(part, arrays(wanted)) < 1e-10
        assert max(float(jnp.max(jnp.abs(leaf))) for leaf in part) > 1e-2


@pytest.mark.usefixtures("float64")
def test_what_is_learned_from_is_the_bound_of_several_samples():
    _, (network, objective), x, y = tiny()

    def term(trace):
        return weighted(network, OfTheseSamples(2)(network, objective, trace), trace)

    found = eqx.filter_jit(over_tuples)(network, {"upper": x, "lower": y}, 2, term)
    assert_same(found, bound_of_two((network, objective), x, y))


@pytest.mark.usefixtures("float64")
def test_what_is_learned_from_is_the_bound_of_one_sample():
    _, (network, objective), x, y = tiny()

    def term(trace):
        return weighted(network, hnca.HNCA()(network, objective, trace), trace)

    found = eqx.filter_jit(over_tuples)(network, {"upper": x, "lower": y}, 1, term)
    found = (jnp.sum(found[0]), *found[1:])
    assert_same(found, bound_of_one((network, objective), x, y))


@pytest.mark.usefixtures("quick_compilation")
def test_the_test_estimates_the_likelihood_and_the_bound_of_one_sample():
    """Of 100 images alike, with 1,000 samples each; a right one fails once in a million times."""
    samples, count = 1000, 100
    experiment, trained, x, y = tiny(samples)
    log_prior, log_likelihood = (np.asarray(part, np.float64) for part in by_hand(trained, x, y))
    prior = np.exp(log_prior)
    likelihood, bound = np.sum(prior * np.exp(log_likelihood)), np.sum(prior * log_likelihood)
    pixels = jnp.broadcast_to(PIXELS, (count, 6))
    measured = jax.jit(experiment.test)(trained, Images(pixels, jnp.zeros(count, jnp.int32)), jax.random.key(2))
    # Of the mean of so many: of the logarithm by its first two derivatives.
    spread = np.sqrt(np.sum(prior * (log_likelihood - bound) ** 2) / (samples * count))
    relative = np.sum(prior * (np.exp(log_likelihood) / likelihood - 1) ** 2)
    wanted = np.log(likelihood) - relative / (2 * samples)
    assert abs(float(measured["test_bound"]) - bound) < 5 * spread + 1e-5
    assert abs(float(measured["test_log_likelihood"]) - wanted) < 5 * np.sqrt(relative / (samples * count)) + 1e-5
    assert np.log(likelihood) - bound > 0.1


@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.parametrize("name", ["hnca+first-order", "reinforce+learned", "straight-through", "em"])
@pytest.mark.thorough
def test_it_learns_to_copy(name, tmp_path, monkeypatch):
    """The lower half is the upper one; what is learned is more than what each pixel is by itself."""
    monkeypatch.setattr("hnca.experiments.runs.running.draw_figure", lambda *_: [])
    half = np.random.default_rng(0).integers(0, 2, (200, 1, 4)) * np.asarray(255)
    whole = np.concatenate([half, half], axis=1).astype(np.uint8)
    np.savez(tmp_path / "own.npz", train_images=whole, test_images=whole[:50])
    sizes = ["--layers", "1", "--width", "12", "--epochs", "60", "--seeds", "1", "--batch-size", "20"]
    command = ["complete", *sizes, "--estimators", name, "--learning-rate", "0.02", "--test-epochs", "1"]
    main([*command, "--dataset", str(tmp_path / "own.npz"), "--out", str(tmp_path / "runs"), "-q"])
    rows = [json.loads(line) for line in (tmp_path / "runs" / f"1-{name}" / "metrics.jsonl").read_text().splitlines()]
    first, last = rows[0], rows[-1]
    assert first["test_log_likelihood"] < -2.5  # four pixels are 2.77 nats
    assert last["test_log_likelihood"] > -1.5
    assert last["test_bound"] < last["test_log_likelihood"]
    assert rows[1]["test_bound"] is None
    assert (tmp_path / "runs" / f"1-{name}" / "completions.png").stat().st_size > 100


@pytest.mark.usefixtures("quick_compilation")
def test_it_resumes_where_it_stood_and_is_loaded_and_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("hnca.experiments.runs.trainer.on_device", images)
    command = [*COMPLETE, "--layers", "1", "--estimators", "em", "--samples", "3"]
    with monkeypatch.context() as patch:
        patch.setattr("hnca.experiments.runs.running.draw_figure", lambda *_: [])
        main([*command, "--epochs", "2", "--out", str(tmp_path / "once")])
        main([*command, "--epochs", "1", "--out", str(tmp_path / "twice")])
    main([*command, "--epochs", "2", "--out", str(tmp_path / "twice")])
    printed = capsys.readouterr().out
    assert "em, 1 hidden  epoch 2/2  train bound -" in printed
    assert "test log p(y|x)" in printed
    once, twice = (
        [json.loads(line) for line in (tmp_path / which / "1-em" / "metrics.jsonl").read_text().splitlines()]
        for which in ("once", "twice")
    )
    assert [row["epoch"] for row in twice] == [1, 1, 2, 2]
    measured = "train_bound", "log_gradient_variance"
    assert [[row[name] for name in measured] for row in once] == [[row[name] for name in measured] for row in twice]
    assert (tmp_path / "twice" / "figure7.pdf").stat().st_size > 5000
    main(["report", str(tmp_path / "twice")])
    page = (tmp_path / "twice" / "report.html").read_text()
    assert "test log p(y|x)" in page
    assert "1-em: completions" in page
    model = hnca.load(tmp_path / "twice" / "1-em", seed=1)
    halves = {"upper": jnp.ones((5, 392)), "lower": jnp.ones((5, 392))}
    trace = model.network.sample(jax.random.key(0), halves)
    assert model.objective.value(model.network, trace).shape == (5,)
    with pytest.raises(SystemExit) as end:
        main([*command[:-1], "4", "--epochs", "2", "--out", str(tmp_path / "twice")])
    assert end.value.code == 2
    assert "was started with other settings (samples 3, now 4)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["complete", "--estimators", "rws"], "--estimators rws: learns an encoder, but samples are drawn from the"),
        (["complete", "--estimators", "backprop"], "--estimators backprop: expected some of hnca, "),
        (["complete", "--estimators", "unordered-set"], "--estimators unordered-set: --width 200; expected at most 16"),
        (["vae", "--estimators", "unordered-set"], "--estimators unordered-set: --width 200; expected at most 16"),
        (["vae", "--estimators", "unordered-set", "--categories", "9", "--width", "6"], "6; expected at most 5"),
        (["complete", "--samples", "1"], "--samples 1: expected at least 2"),
        (["complete", "--samples", "0"], "--samples 0: expected a whole number of at least 1"),
        (["complete", "--test-samples", "0"], "--test-samples 0: expected a whole number of at least 1"),
        (["complete", "--test-epochs", "0"], "--test-epochs 0: expected whole numbers of at least 1"),
        (["complete", "--entropy", "sampled"], "Unrecognized options: --entropy"),
        (
            ["complete", "--dataset", "{own}", "--batch-size", "2"],
            "flat.npz: images of 1 by 4 pixels; expected at least two rows",
        ),
        (["vae", "--estimators", "em", "--entropy", "sampled"], "--estimators em: expected some of hnca, "),
        (["bandit", "--estimators", "em"], "--estimators em: evaluates or differentiates"),
        (["figure", "7"], "figure 7: expected one of 1, 3, 4, 5, 6"),
    ],
)
def test_mistakes_are_one_line(arguments, problem, tmp_path, capsys):
    flat = np.full((4, 1, 4), 9, np.uint8)
    np.savez(tmp_path / "flat.npz", train_images=flat, test_images=flat)
    with pytest.raises(SystemExit) as end:
        main([argument.format(own=tmp_path / "flat.npz") for argument in arguments])
    printed = capsys.readouterr().err
    assert end.value.code == 2
    assert problem in printed
    assert printed.count("\n") == 1


def test_the_number_of_samples_is_that_of_bounds_alone():
    experiment = Completion(2, 7, 100)
    for name in ("em", "vimco", "local-disarm"):
        assert experiment.estimator(name).samples == 7
        assert estimator_of(name).samples == 5
    assert experiment.estimator("loo-4") == estimator_of("loo-4")
    assert CompletionSettings(estimators=("em", "em")).all_estimators == ("em",)
