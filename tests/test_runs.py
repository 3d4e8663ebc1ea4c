"""Commands on directories: continued to the bit, never mixed, and whatever goes wrong is one line."""

import io
import json
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from small import BANDIT, VAE, images

from hnca.experiments.bandit import Bandit
from hnca.experiments.commands.main import main
from hnca.experiments.data.mnist import MNIST
from hnca.experiments.figures.tables import final_table
from hnca.experiments.files import read_whole
from hnca.experiments.methods import estimator_of
from hnca.experiments.runs.measured import rows_of
from hnca.experiments.runs.plan import settings_of
from hnca.experiments.runs.running import experiment_of
from hnca.experiments.settings import RunningSettings, SettingsError
from hnca.experiments.store import Claim, MetricsFile, progress, read_checkpoint, read_metrics, read_rows
from hnca.experiments.store.serialisation import from_bytes
from hnca.experiments.training import epochs
from hnca.experiments.training.minibatches import TrainingState

CONFIGURATION = {"experiment": "bandit", "layers": 1, "estimator": "hnca", "settings": {"width": 4, "torso": "none"}}

pytestmark = pytest.mark.usefixtures("small_images", "quick_compilation")


@pytest.fixture(scope="module", autouse=True)
def programs(tmp_path_factory):
    """The tests compile the same few programs again and again."""
    names = "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"
    before = [getattr(jax.config, name) for name in names]
    for name, value in zip(names, (str(tmp_path_factory.mktemp("programs")), 0.0), strict=True):
        jax.config.update(name, value)
    yield
    for name, value in zip(names, before, strict=True):
        jax.config.update(name, value)


@pytest.fixture
def small_images(monkeypatch):
    monkeypatch.setattr("hnca.experiments.runs.trainer.on_device", images)
    monkeypatch.setattr("hnca.experiments.runs.running.draw_figure", drawn)


def drawn(number, panels, units, rows, directory, remark):
    (directory / "figure.png").write_text(f"{len(rows)} rows")
    return [directory / "figure.png"]


def numbers(directory):
    """The metrics of one run without their times, as bytes, since they must be the same to the last bit."""
    return re.sub(rb', "seconds": [\d.]+', b"", (directory / "metrics.jsonl").read_bytes())


def fails(code, arguments, capsys):
    """Returns the one line that the command ends with."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main(list(map(str, arguments)))
    assert exit_.value.code == code
    errors = capsys.readouterr().err
    assert errors.startswith("hnca: ")
    assert errors.count("\n") == 1
    return errors


RATES = ["--encoder-rate", "0.003", "--prior", "fixed", "--rate-warm-up", "1"]
RECIPE = [*VAE, *RATES, "--kl-warm-up", "3", "--output-bias", "data", "--categories", "3"]


@pytest.mark.parametrize("command", [BANDIT, pytest.param(RECIPE, marks=pytest.mark.thorough)])
def test_more_epochs_continue_as_if_nothing_had_happened(command, tmp_path, capsys):
    tested = ["--test-epochs", "2"] if command is RECIPE else []
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    main([*command, *tested, "--epochs", "5", "--out", str(whole)])
    (run,) = [path.name for path in whole.iterdir() if path.is_dir()]
    for count in ("2", "2", "5", "4"):
        main([*command, *tested, "--epochs", count, "--out", str(parts)])
    printed = capsys.readouterr().out
    assert f"{run}: finished before\n" in printed
    assert f"{run}: finished before, after 5 epochs\n" in printed
    assert f"{run}: goes on after epoch 2" in printed
    assert numbers(whole / run) == numbers(parts / run)
    assert len(read_rows(whole)) == 2 * 5
    config = json.loads((parts / run / "config.json").read_text())
    assert config["epochs"] == 5
    assert [again["after_epoch"] for again in config["continued"]] == [2]
    assert sorted(path.name for path in (parts / run).glob("checkpoint-*")) == [
        "checkpoint-000004.eqx",
        "checkpoint-000005.eqx",
    ]
    settings = settings_of(config)
    experiment, estimator = experiment_of(settings, MNIST.facts), estimator_of(config["estimator"])
    static, state = epochs.beginning(experiment, settings, config["layers"], estimator)
    header, content = read_checkpoint(progress(parts / run, 2).checkpoint)
    trained = eqx.combine(from_bytes(content, state).parameters, static)
    assert jax.tree.structure(trained) == jax.tree.structure(eqx.combine(state.parameters, static))
    assert header["arrays"][0][1:] == ["float32", list(jax.tree.leaves(state)[0].shape)]
    states = [(directory / run / "checkpoint-000005.eqx").read_bytes() for directory in (whole, parts)]
    assert states[0] == states[1]


def test_a_checkpoint_is_read_once_as_its_run_is_taken_up(tmp_path, monkeypatch):
    read = []

    def noted(path):
        read.append(path.name)
        return read_whole(path)

    monkeypatch.setattr("hnca.experiments.store.checkpoint.read_whole", noted)
    for count, expected in (("1", []), ("2", ["checkpoint-000001.eqx"]), ("2", ["checkpoint-000002.eqx"])):
        main([*BANDIT, "--epochs", count, "--out", str(tmp_path)])
        assert read == expected
        read.clear()


def test_what_is_damaged_is_computed_again(tmp_path, capsys):
    command = [*BANDIT, "--epochs", "4", "--out", str(tmp_path)]
    run = tmp_path / "1-hnca+baseline"
    main(command)
    before = numbers(run)
    newest = run / "checkpoint-000004.eqx"
    newest.write_bytes(newest.read_bytes()[:-7])
    main(command)
    assert "checkpoint-000004.eqx: its checksum" in capsys.readouterr().out.replace("\n", "")
    assert numbers(run) == before
    metrics = run / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes()[:-7])
    main(command)
    assert "goes on after epoch 3" in capsys.readouterr().out
    assert numbers(run) == before
    for path in run.glob("checkpoint-*"):
        path.write_bytes(b"")
    main(command)
    assert numbers(run) == before
    (run / "config.json").unlink()
    with pytest.raises(SystemExit):
        main(command)
    assert "1-hnca+baseline has results but no config.json" in capsys.readouterr().err
    assert numbers(run) == before
    main([*command, "--overwrite"])
    assert (run / "config.json").exists()


def test_settings_that_differ_are_refused_with_the_difference(tmp_path, capsys):
    command = [*BANDIT, "--epochs", "1", "--out", tmp_path]
    main(list(map(str, command)))
    before = numbers(tmp_path / "1-hnca+baseline")
    error = fails(2, [*command, "--width", "6", "--seeds", "1"], capsys)
    assert "1-hnca+baseline was started with other settings (width 4, now 6; seeds 2, now 1)" in error
    assert "--overwrite" in error
    # Another depth would be drawn into the same figures.
    error = fails(2, [*command, "--layers", "2", "--width", "6"], capsys)
    assert "(width 4, now 6)" in error
    assert "--overwrite" not in error
    assert "experiment bandit, now vae" in fails(2, [*VAE, "--out", tmp_path], capsys)
    assert numbers(tmp_path / "1-hnca+baseline") == before
    (tmp_path / "1-hnca+baseline" / "config.json").write_text("{")
    assert "config.json: is no JSON" in fails(2, command, capsys)
    main([*map(str, command), "--overwrite", "--seeds", "1"])
    main([*map(str, command), "--overwrite"])
    assert numbers(tmp_path / "1-hnca+baseline") == before


def test_each_takes_what_nobody_has_claimed(tmp_path, capsys):
    """The first run is another's; this one trains the second, and draws nothing since the first is not finished."""
    command = ["bandit", *BANDIT[1:-1], "hnca", "reinforce", "--epochs", "1", "--out", str(tmp_path)]
    first = tmp_path / "1-hnca"
    first.mkdir()
    with Claim(first).take():
        main(command)
        printed = capsys.readouterr().out
        assert "not finished: 1-hnca (1-hnca is claimed by process " in printed
        assert sorted(path.name for path in tmp_path.iterdir()) == ["1-hnca", "1-reinforce"]
        assert "1-hnca is claimed by process " in fails(2, command, capsys)
    main([*command, "--shard", "1/2"])
    assert {row.estimator for row in read_rows(tmp_path)} == {"hnca", "reinforce"}
    assert (tmp_path / "figure.png").read_text() == "4 rows"


def test_shards_share_the_runs_out(tmp_path, capsys):
    command = ["bandit", *BANDIT[1:-1], "hnca", "reinforce", "hnca+baseline", "--epochs", "1", "--out", str(tmp_path)]
    main([*command, "--shard", "2/2"])
    assert "not finished: 1-hnca, 1-hnca+baseline (not of this shard)" in capsys.readouterr().out.replace("\n", " ")
    assert [path.name for path in tmp_path.iterdir()] == ["1-reinforce"]
    for shard in ("0/2", "3/2", "1", "a/b", "1/2/3", "/"):
        with pytest.raises(SettingsError, match=f"--shard {shard}: expected I"):
            RunningSettings(shard=shard)


def test_checkpoints_are_written_as_often_as_told(tmp_path):
    main([*BANDIT, "--epochs", "5", "--checkpoint-every", "2", "--out", str(tmp_path)])
    names = [path.name for path in (tmp_path / "1-hnca+baseline").glob("checkpoint-*")]
    assert sorted(names) == ["checkpoint-000004.eqx", "checkpoint-000005.eqx"]


@pytest.mark.parametrize("command", [BANDIT, VAE])
@pytest.mark.sweep
def test_numbers_that_are_none_stop_a_run_and_name_layer_and_update(command, tmp_path, capsys, monkeypatch):
    """The second epoch's third update is spoilt."""
    main([*command, "--epochs", "1", "--out", str(tmp_path)])
    (run,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    before = numbers(run)
    network = "hidden1" if command is BANDIT else "latent2"
    update = epochs.update

    def spoilt(*arguments):
        state, measures = update(*arguments)
        return spoil(state, network), measures

    monkeypatch.setattr(epochs, "update", spoilt)
    # As Adam counts them: six updates an epoch.
    error = fails(1, [*command, "--epochs", "3", "--check-finite", "--out", tmp_path], capsys)
    assert f"the gradient of layer {network} is not finite in update 3 of epoch 2" in error
    error = fails(1, [*command, "--epochs", "3", "--out", tmp_path], capsys)
    assert "the gradient of layer " in error
    assert "is not finite in epoch 2 (--check-finite tells" in error
    assert numbers(run) == before
    assert [path.name for path in run.glob("checkpoint-*")] == ["checkpoint-000001.eqx"]


def spoil(state, name):
    """Puts an infinity into the bias of a layer once Adam has counted nine updates."""
    counts = [leaf for leaf in jax.tree.leaves(state.optimiser) if leaf.ndim == 0]

    def bias(parameters):
        network = parameters[0] if isinstance(parameters, tuple) else parameters
        return network.layers[name].conditional.bias

    infinite = jnp.where(counts[0] >= 9, jnp.inf, 0.0)
    return state._replace(parameters=eqx.tree_at(bias, state.parameters, replace_fn=lambda b: b + infinite))


def test_a_gradient_that_is_nought_has_no_logarithm(tmp_path):
    measures = {name: jnp.zeros(2) for name in ("train_accuracy", "test_accuracy", "gradient_variance")}
    epoch = epochs.Epoch(measures, jnp.ones((2, 1)), TrainingState(None, None, None), None)
    rows = rows_of(experiment_of(settings_of(CONFIGURATION), MNIST.facts), "hnca", 1, 1, epoch, 0.5)
    with MetricsFile(tmp_path, 0) as metrics:
        metrics.write(rows)
    assert [row.measured["log_gradient_variance"] for row in read_metrics(tmp_path)] == [None, None]
    console = Console(file=io.StringIO(), width=120)
    console.print(final_table(rows, Bandit.headings, 4))
    assert console.file.getvalue().split()[-3] == "-"
    with pytest.raises(SettingsError, match="of another version of hnca"):
        settings_of({**CONFIGURATION, "experiment": "lottery"})


def test_too_little_memory_says_what_to_lower(tmp_path, capsys, monkeypatch):
    def no_memory(*arguments, **others):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99999999999 bytes.")

    monkeypatch.setattr("hnca.experiments.runs.trainer.train", no_memory)
    error = fails(1, [*BANDIT, "--out", tmp_path], capsys)
    assert "out of memory; expected fewer --seeds" in error
    assert "--batch-size" in error


def test_a_directory_that_is_removed_is_not_made_again(tmp_path, capsys, monkeypatch):
    run = tmp_path / "1-hnca+baseline"
    original = epochs._wait_for

    def remove(measures):
        original(measures)
        for path in run.iterdir():
            path.unlink()
        run.rmdir()

    monkeypatch.setattr(epochs, "_wait_for", remove)
    assert "its directory was removed while it ran" in fails(1, [*BANDIT, "--out", tmp_path], capsys)
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_in_an_epoch_keeps_those_before(tmp_path, capsys, monkeypatch):
    original, calls = epochs._wait_for, []

    def interrupt(measures):
        original(measures)
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(epochs, "_wait_for", interrupt)
    command = [*BANDIT, "--epochs", "4", "--checkpoint-every", "3", "--out", tmp_path]
    assert "interrupted; the epochs finished so far are kept" in fails(130, command, capsys)
    assert np.max([row.epoch for row in read_rows(tmp_path)]) == 2
    main(list(map(str, command)))
    assert "goes on after epoch 2" in capsys.readouterr().out
