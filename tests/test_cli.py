"""The command line as a user meets it: real processes, real files."""

import importlib.metadata
import json
import os
import subprocess
import sys

import pytest

from hnca.experiments.commands.main import commands, main
from hnca.experiments.method_rows import METHODS
from hnca.experiments.settings import BanditSettings, SettingsError, VAESettings
from hnca.messages import compiled

FIELDS = [
    "experiment",
    "estimator",
    "torso",
    *("layers", "seed", "epoch"),
    *("train_accuracy", "test_accuracy"),
    "log_gradient_variance",
    "seconds",
]
BENCH_FIELDS = [
    *("experiment", "layers", "width", "batch_size", "seeds", "estimator", "measure_variance"),
    "milliseconds_per_update",
    "ratio_to_backprop",
    "peak_bytes",
    "device",
]
VAE_FIELDS = [
    *("experiment", "estimator", "encoder", "decoder", "entropy", "layers", "seed", "epoch"),
    *("train_elbo", "test_elbo", "test_bound"),
    *("train_reconstruction", "train_kl", "test_reconstruction", "test_kl", "test_active_units"),
    *("log_gradient_variance", "seconds"),
]

SINGLE = {"reward", "function"}
LITTLE_EFFORT = {"XLA_FLAGS": "--xla_backend_optimization_level=1", "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}


def written(out):
    """The rows of all runs below a directory, in the order of the runs' names."""
    paths = sorted(out.glob("*/metrics.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def hnca(*arguments, environment=None):
    command = [sys.executable, "-m", "hnca", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})


MISTAKES = {
    "--layers 0": ["--layers", "0"],
    "--layers (nothing)": ["--layers"],
    "--width -5": ["--width", "-5"],
    "--estimators backprop": ["--estimators", "hnca", "backprop"],
    "--epochs 0": ["--epochs", "0"],
    "--seeds 0": ["--seeds", "0"],
    "--batch-size 60001: expected at most 60000": ["--batch-size", "60001"],
    "missing.npz: cannot be read": ["--dataset", "missing.npz"],
    "kmnist: not in": ["--dataset", "kmnist"],
    "--learning-rate nan": ["--learning-rate", "nan"],
    "--learning-rate 0.0": ["--learning-rate", "0"],
    "options: --depth; --help tells what there is": ["--depth", "3"],
    "options: --estimator; like --estimators?": ["--estimator", "hnca"],
    "--layers many: expected whole numbers\n": ["--layers", "many"],
    "--epochs 1.5: expected a whole number\n": ["--epochs", "1.5"],
    "--learning-rate x: expected a number\n": ["--learning-rate", "x"],
    "--checkpoint-every 0": ["--checkpoint-every", "0"],
    "--shard 3/2": ["--shard", "3/2"],
    "--out /proc/nowhere: cannot be written": ["--out", "/proc/nowhere"],
}

VAE_MISTAKES = {
    "--estimators backprop": ["--estimators", "backprop"],
    "--ablations everything": ["--ablations", "everything"],
    "--ablations all-children: expected hnca": ["--ablations", "all-children", "--estimators", "loo"],
    "--test-epochs 0": ["--test-epochs", "0"],
    "--bound-samples 0": ["--bound-samples", "0"],
    "hnca: --dataset cifar": ["--dataset", "cifar"],
    "--seeds 2147483647": ["--seeds", "2147483647"],
    "--width 99999999999999999999": ["--width", "99999999999999999999"],
}
EVERY_MISTAKE = [*(("bandit", m, a) for m, a in MISTAKES.items()), *(("vae", m, a) for m, a in VAE_MISTAKES.items())]


@pytest.mark.parametrize(("command", "start", "arguments"), EVERY_MISTAKE)
def test_a_mistake_is_one_readable_line_and_exit_code_2_and_leaves_nothing(
    command, start, arguments, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HNCA_DATA", str(tmp_path / "data"))
    with pytest.raises(SystemExit) as exit_:
        main([command, *arguments])
    printed = capsys.readouterr()
    assert exit_.value.code == 2
    assert printed.err.count("\n") == 1
    assert start in printed.err
    assert not any(tmp_path.iterdir())
    assert printed.out == ""


def test_an_unknown_command_is_one_line_that_names_the_known(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["bandid"])
    assert exit_.value.code == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "bandid: no such command; expected bandit, vae, complete, compare, " in printed


def test_the_version_and_what_there_is(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"hnca {importlib.metadata.version('hnca')}\n"
    with pytest.raises(SystemExit) as exit_:
        main([])
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in commands())


def test_every_estimator_has_a_line_of_help(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    for command, learns_from in (
        ("bandit", {"reward"}),
        ("vae", SINGLE | {"bound", "encoder"}),
        ("complete", SINGLE | {"bound", "prior"}),
    ):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        shown = capsys.readouterr().out
        for row in METHODS.values():
            assert (f"{row.name}: {row.help}" in shown or f"{row.name}*: {row.help}" in shown) == (
                row.needs in learns_from and row.ablates is None
            ), row.name


def test_output_that_nobody_reads_any_more_ends_the_command_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "hnca", "vae", "--help"]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")


def test_help_does_not_import_jax():
    code = (
        "import sys; from hnca.experiments.commands.main import main\n"
        "try: main(['bandit', '--help'])\n"
        "finally: assert 'jax' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for option in ("--layers", "--width", "--estimators", "--baseline", "--epochs", "--seeds", "--batch-size", "--out"):
        assert option in result.stdout


@pytest.mark.parametrize("command", commands())
def test_help_fits_the_terminal(command, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("usage: hnca") for line in lines)
    assert max(map(len, lines)) <= 80


def test_what_is_said_of_a_command_that_was_interrupted(monkeypatch, capsys):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("hnca.experiments.commands.main._run", interrupt)
    for command, kept in ((["data", "get", "kmnist"], "; what has come so far is kept"), (["compare"], "\n")):
        with pytest.raises(SystemExit):
            main(command)
        assert capsys.readouterr().err.startswith(f"hnca: interrupted{kept}")


def test_info_says_which_kernel_is_used_and_refuses_an_unknown_one():
    kernel = "compiled, " if compiled.status().compiled else "pure JAX, as "
    assert f"messages: {kernel}" in hnca("info").stdout
    for command in ("info", "bench"):
        result = hnca(command, environment={"HNCA_KERNEL": "fast"})
        assert result.returncode == 2
        assert result.stderr == "hnca: HNCA_KERNEL='fast'; expected 'auto' or 'jax'.\n"
    assert "messages: pure JAX, as HNCA_KERNEL=jax" in hnca("info", environment={"HNCA_KERNEL": "jax"}).stdout


def test_runs_are_written_drawn_and_not_trained_twice(tmp_path):
    """Real MNIST, the smallest run: a wide batch makes an epoch short."""
    command = ["bandit", "--layers", "2", "--width", "8", "--epochs", "2", "--seeds", "2"]
    command += ["--batch-size", "1000", "--estimators", "hnca", "--out", tmp_path]
    result = hnca(*command, environment=LITTLE_EFFORT)
    assert result.returncode == 0, result.stderr
    rows = written(tmp_path)
    assert len(rows) == 2 * 2
    assert all(list(row) == FIELDS for row in rows)
    assert {row["estimator"] for row in rows} == {"hnca"}
    assert all(0 < row["train_accuracy"] < 1 and row["seconds"] > 0 for row in rows)
    for name in ("figure1.png", "figure1.pdf"):
        assert (tmp_path / name).stat().st_size > 5000
    assert "HNCA" in result.stdout
    assert "hnca, 2 hidden  epoch 2/2  train accuracy" in result.stdout
    again = hnca(*command)
    assert again.returncode == 0
    assert again.stdout.count("finished before") == 1
    assert "epoch 2/2" not in again.stdout
    assert written(tmp_path) == rows


@pytest.mark.thorough
def test_auto_encoders_write_metrics_figures_and_pictures(tmp_path):
    """Real MNIST, the smallest run; the first epoch is not tested."""
    command = ["vae", "--layers", "2", "--width", "8", "--epochs", "2", "--seeds", "2", "--batch-size", "2000"]
    command += ["--estimators", "hnca+baseline", "--ablations", "full-reward", "--bound-samples", "2"]
    result = hnca(*command, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    rows = written(tmp_path)
    assert len(rows) == 2 * 2 * 2
    assert all(list(row) == VAE_FIELDS for row in rows)
    assert {row["estimator"] for row in rows} == {"hnca+baseline", "hnca-full-reward+baseline"}
    for row in rows:
        assert -600 < row["train_elbo"] < -200
        assert (row["test_elbo"] is None) == (row["test_bound"] is None) == (row["epoch"] == 1)
        if row["epoch"] == 2:
            assert row["test_elbo"] < row["test_bound"] < -200
    methods = "hnca+baseline", "hnca-full-reward+baseline"
    pictures = [f"2-{method}/{kind}.png" for kind in ("samples", "reconstructions") for method in methods]
    for name in ("figure3.png", "figure3.pdf", "figure6.png", "figure6.pdf", *pictures):
        assert (tmp_path / name).stat().st_size > 5000, name
    assert "HNCA, full reward with baseline" in result.stdout


@pytest.mark.thorough
def test_a_run_that_diverges_stops_with_one_line_and_keeps_what_is_finite(tmp_path):
    result = hnca("bandit", "--layers", 1, "--width", 4, "--epochs", 3, "--seeds", 1, "--batch-size", 5000,
                  "--learning-rate", 1e38, "--out", tmp_path)  # fmt: skip
    assert result.returncode == 1
    assert " is not finite in epoch" in result.stderr
    assert "expected a smaller rate" in result.stderr
    assert result.stderr.count("\n") == 1
    assert all(abs(row["log_gradient_variance"]) < 1e3 for row in written(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_directory_without_permission_is_refused(tmp_path, capsys):
    tmp_path.chmod(0o500)
    with pytest.raises(SystemExit):
        main(["bandit", "--out", str(tmp_path / "inside")])
    assert "cannot be written (Permission denied)" in capsys.readouterr().err


def test_settings_are_checked_when_they_are_built():
    with pytest.raises(SettingsError, match="--width 0: expected a whole number of at least 1"):
        BanditSettings(width=0)
    settings = BanditSettings(estimators=("hnca", "hnca+baseline", "hnca"))
    assert settings.all_estimators == ("hnca", "hnca+baseline")
    assert BanditSettings(baseline=True).all_estimators == ("hnca+baseline", "reinforce+baseline")
    ablated = VAESettings(estimators=("hnca+baseline", "loo"), ablations=("all-children", "full-reward"))
    assert ablated.all_estimators == ("hnca+baseline", "hnca-all-children+baseline", "hnca-full-reward+baseline", "loo")
    assert [epoch for epoch in range(1, 8) if VAESettings(epochs=7, test_epochs=(2, 5)).is_tested(epoch)] == [2, 5, 7]


@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.thorough
def test_the_benchmark_prints_a_table_and_writes_rows(tmp_path, capsys):
    command = ["bench", "--layers", "1", "--width", "8", "--batch-size", "5", "--updates", "2", "--repeats", "1"]
    main(
        [
            *command,
            "--estimators",
            "hnca",
            "loo",
            "--json",
            str(tmp_path / "deep" / "rows.jsonl"),
            "--plot",
            str(tmp_path / "plot.png"),
        ]
    )
    rows = [json.loads(line) for line in (tmp_path / "deep" / "rows.jsonl").read_text().splitlines()]
    assert all(list(row) == BENCH_FIELDS for row in rows)
    timed = [(row["experiment"], row["estimator"], row["measure_variance"]) for row in rows]
    assert timed == [
        ("bandit", "backpropagation", False),
        *(("bandit", "hnca", measured) for measured in (False, True)),
        ("vae", "backpropagation", False),
        *(("vae", name, measured) for name in ("hnca", "loo") for measured in (False, True)),
    ]
    assert all(row["milliseconds_per_update"] > 0 and row["peak_bytes"] > 1000 for row in rows)
    assert [row["ratio_to_backprop"] for row in rows if row["estimator"] == "backpropagation"] == [1.0, 1.0]
    assert "ratio to backprop" in capsys.readouterr().out
    assert (tmp_path / "plot.png").stat().st_size > 5000
    with pytest.raises(SystemExit):
        main([*command, "--updates", "20000"])
    assert "expected at most 12000" in capsys.readouterr().err
