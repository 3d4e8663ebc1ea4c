"""The comparison of estimators: what it says of biases that are known, and what it writes."""

import json
import re

import jax.numpy as jnp
import numpy as np
import pytest

from hnca.experiments.commands.main import main
from hnca.experiments.comparison.averaging import mean_bias
from hnca.experiments.comparison.moments import Drawn
from hnca.experiments.comparison.rows import relative_bias
from hnca.experiments.settings.compare import GROUPS

pytestmark = pytest.mark.usefixtures("quick_compilation")
SIZE = 400
PAIRS = [(0, 0), (0, 1), (1, 0), (1, 1)]
"""Of a seed and a batch."""


def drawn(mean, noise, seed, correlated=0.0):
    """Means of groups of draws: noise of every parameter, and noise that all of them share."""
    numbers = np.random.default_rng(seed)
    shared = correlated * numbers.normal(size=(GROUPS, 1))
    means = mean + noise * numbers.normal(size=(GROUPS, SIZE)) + shared
    return Drawn({"layer": jnp.asarray(means)}, {"layer": jnp.ones(SIZE)}, {}, 40)


@pytest.mark.parametrize("correlated", [0.0, 0.5])
def test_noise_is_not_taken_for_a_bias(correlated):
    """The estimate of the square is unbiased: over many seeds its mean is 0 to within its error (z below 4)."""
    found = [relative_bias(drawn(1.0, 0.5, s, correlated), drawn(1.0, 0.1, 1000 + s)) for s in range(100)]
    sure = np.array([bias.sureness for bias in found])
    assert np.mean(sure > 4) <= 0.05
    assert abs(np.mean(np.sign(sure))) < 0.7


@pytest.mark.parametrize("size", [0.1, 0.5])
def test_a_bias_is_found_and_measured(size):
    found = [relative_bias(drawn(1.0 + size, 0.3, s), drawn(1.0, 0.1, 1000 + s)) for s in range(30)]
    np.testing.assert_allclose(np.mean([bias.relative for bias in found]), size, rtol=0.05)
    assert min(bias.sureness for bias in found) > 4
    errors = np.array([(bias.relative - size) / bias.error for bias in found])
    assert np.mean(np.abs(errors) < 2) > 0.7
    assert np.mean([bias.bound > size for bias in found]) > 0.75


def test_what_has_no_noise_has_a_bias_or_none():
    reference = drawn(1.0, 0.0, 1)
    assert relative_bias(drawn(1.0, 0.0, 0), reference).sureness == 0
    found = relative_bias(drawn(1.1, 0.0, 0), reference)
    assert found.sureness > 4
    assert found.relative == pytest.approx(0.1, rel=1e-3)


def test_biases_of_several_networks_are_averaged():
    """The mean square of biases of 0.1 and 0.5, and a bound from noise alone that falls as the root of their number."""
    found = [relative_bias(drawn(1.0 + size, 0.1, s), drawn(1.0, 0.05, 100 + s)) for s, size in enumerate((0.1, 0.5))]
    mean = mean_bias(found)
    np.testing.assert_allclose(mean.relative, (0.5 * (0.1**2 + 0.5**2)) ** 0.5, rtol=0.02)
    assert mean.sureness > 4
    assert mean.bound > mean.relative
    noise = [relative_bias(drawn(1.0, 0.5, s), drawn(1.0, 0.1, 1000 + s)) for s in range(64)]
    together = mean_bias(noise)
    assert together.sureness < 4
    assert together.bound < 0.6 * np.mean([bias.bound for bias in noise])


def test_it_prints_a_table_and_writes_rows_and_a_chart(tmp_path, capsys):
    sizes = ["--width", "5", "--batch-size", "20", "--draws", "200", "--reference-draws", "200", "--adaptation", "5"]
    names = ["--estimators", "hnca", "straight-through", "loo"]
    command = ["compare", "--layers", "2", *sizes, *names, "--repeats", "1", "--out", str(tmp_path / "deep")]
    main([*command, "--seeds", "2", "--batches", "2"])
    rows = json.loads((tmp_path / "deep" / "comparison.json").read_text())
    pairs = {(row["seed"], row["batch"]) for row in rows}
    assert pairs == set(PAIRS)
    assert len({row["variance"] for row in rows}) == len(rows) == 3 * len(pairs)
    by_name = {row["estimator"]: row for row in rows}
    assert set(by_name) == {"hnca", "straight-through", "loo"}
    assert by_name["straight-through"]["bias_sureness"] > 4
    assert by_name["hnca"]["bias_sureness"] < 4 > by_name["loo"]["bias_sureness"]
    assert set(by_name["loo"]["variance_by_layer"]) == {"latent1", "latent2"}
    assert by_name["loo"]["variance_within_batch_by_layer"]["latent1"] > by_name["loo"]["variance_by_layer"]["latent1"]
    assert (by_name["loo"]["forward_passes"], by_name["loo"]["evaluations"]) == (2.5, 3)
    assert (tmp_path / "deep" / "comparison.png").stat().st_size > 5000
    printed, kept = capsys.readouterr().out, (tmp_path / "deep" / "comparison.md").read_text()
    assert "vae, 2 layers, at initialisation" in printed
    told = [line for line in printed.splitlines() if line.startswith("2 layers")]
    assert told == [
        "2 layers: timing updates",
        *(f"2 layers, epoch 0, seed {s}, batch {b}: measuring" for s, b in PAIRS),
    ]
    lines = {line.split(" | ")[0].strip("| "): line.split(" | ")[1] for line in kept.splitlines() if " | " in line}
    assert re.fullmatch(r"0\.\d{3} ± 0\.\d{3}", lines["straight-through"])
    assert re.fullmatch(r"< 0\.\d{3}", lines["HNCA"])
    each = [np.log(row["variance_by_layer"]["latent1"]) for row in rows if row["estimator"] == "loo"]
    assert f"| {np.mean(each):.2f}±{np.std(each, ddof=1):.2f} " in kept
    assert "over 4 pairs of a network and a batch" in kept
    cells = [line.strip("| ").split(" | ") for line in kept.splitlines() if line.startswith("| ")]
    costs = [float(row[-1]) for row in cells[2:]]
    assert costs == sorted(costs)
    with pytest.raises(SystemExit):
        main(command)
    assert "has a comparison, comparison.json; expected another directory, or --overwrite" in capsys.readouterr().err
    assert json.loads((tmp_path / "deep" / "comparison.json").read_text()) == rows
    (tmp_path / "odd" / "comparison.json").mkdir(parents=True)
    with pytest.raises(SystemExit):
        main([*command[:-1], str(tmp_path / "odd")])
    assert "has a comparison" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--overwrite", "--run", str(tmp_path / "nowhere")])
    assert "--layers: expected none with --run" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["compare", "--run", str(tmp_path / "nowhere"), "--overwrite", "--out", command[-1]])
    assert f"--run {tmp_path / 'nowhere'}" in capsys.readouterr().err
    assert json.loads((tmp_path / "deep" / "comparison.json").read_text()) == rows


@pytest.mark.thorough
def test_it_compares_on_a_network_that_was_trained(tmp_path, capsys):
    sizes = ["--width", "4", "--batch-size", "6000"]
    runs, run = tmp_path / "runs", tmp_path / "runs" / "1-hnca"
    training = ["--layers", "1", "--epochs", "1", "--seeds", "2", "--estimators", "hnca", "--out", str(runs)]
    main(["bandit", *sizes, *training])
    few = ["--draws", "40", "--reference-draws", "40", "--adaptation", "2", "--repeats", "1", "--batch-size", "20"]
    compared = ["compare", *few, "--run", str(run), "--out", str(tmp_path / "out"), "--estimators", "hnca"]
    main([*compared, "--experiment", "bandit"])
    (row,) = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert (row["experiment"], row["layers"], row["epoch"]) == ("bandit", 1, 1)
    assert set(row["variance_by_layer"]) == {"hidden1", "action"}
    capsys.readouterr()
    for wrong, problem in (([], "--experiment vae"), (["--run", str(tmp_path)], "is no run")):
        with pytest.raises(SystemExit):
            main([*compared, "--overwrite", *wrong])
        assert problem in capsys.readouterr().err
