"""Runs that begin with another run's parameters: `--start-from`."""

import json
import shutil

import equinox as eqx
import jax
import numpy as np
import pytest
from small import COMMON, images

import hnca
from hnca.experiments.commands.main import main
from hnca.experiments.files import read_whole
from hnca.experiments.store import read_metrics

BANDIT = ["bandit", *COMMON, "--layers", "1"]
PLAIN = [*BANDIT, "--estimators", "hnca", "--optimiser", "sgd"]
"""Between whose updates nothing is carried over but the parameters."""

pytestmark = pytest.mark.usefixtures("small_images", "quick_compilation")


@pytest.fixture
def small_images(monkeypatch):
    monkeypatch.setattr("hnca.experiments.runs.trainer.on_device", images)
    monkeypatch.setattr("hnca.experiments.runs.running.draw_figure", lambda *_: [])


def train(command, out, epochs, *more):
    main([*map(str, command), "--epochs", str(epochs), "--out", str(out), *map(str, more)])
    (run,) = [path.parent for path in out.glob("*/config.json")]
    return run


def refused(command, capsys):
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main([*map(str, command)])
    errors = capsys.readouterr().err
    assert exit_.value.code == 2
    assert errors.count("\n") == 1
    return errors


def measured(run):
    return [(row.seed, row.measured) for row in read_metrics(run)]


def test_started_from_parts_a_run_is_what_it_is_in_one(tmp_path, capsys):
    """To the bit, where optimiser and estimator keep nothing: the keys of later epochs are those of the whole run."""
    whole = train(PLAIN, tmp_path / "whole", 4)
    first = train(PLAIN, tmp_path / "first", 1)
    second = train(PLAIN, tmp_path / "second", 1, "--start-from", first)
    third = train(PLAIN, tmp_path / "third", 1, "--start-from", second)
    assert "1-hnca: begins with" in (printed := " ".join(capsys.readouterr().out.split()))
    assert "second/1-hnca, epochs 2" in printed
    assert json.loads((third / "config.json").read_text())["start"]["epochs"] == 2
    third = train(PLAIN, tmp_path / "third", 2, "--start-from", second)  # goes on
    assert "1-hnca: goes on after epoch 1" in capsys.readouterr().out
    assert measured(whole) == [*measured(first), *measured(second), *measured(third)]


def test_fewer_seeds_another_estimator_and_another_rate_may_start_from_it(tmp_path):
    first = train([*BANDIT, "--estimators", "hnca+baseline"], tmp_path / "first", 1)
    command = ["bandit", *COMMON[:-1], "1", "--layers", "1", "--estimators", "reinforce", "--learning-rate", "1e-12"]
    second = train(command, tmp_path / "second", 1, "--start-from", first)
    before, after = (eqx.filter(hnca.load(run).network, eqx.is_inexact_array) for run in (first, second))
    for pair in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_allclose(*pair, atol=1e-9)


def test_all_seeds_are_of_one_checkpoint(tmp_path, monkeypatch):
    """Whoever trains that run may write another meanwhile."""
    first, read = train(PLAIN, tmp_path / "first", 1), []

    def noted(path):
        read.append(path)
        return read_whole(path)

    monkeypatch.setattr("hnca.experiments.store.checkpoint.read_whole", noted)
    train(PLAIN, tmp_path / "second", 1, "--start-from", first)
    assert [path.parent for path in read].count(first) == 1


def test_what_it_began_with_belongs_to_a_run(tmp_path, capsys):
    first = train(PLAIN, tmp_path / "first", 1)
    second = train(PLAIN, tmp_path / "second", 1, "--start-from", first)
    command = [*PLAIN, "--epochs", "2", "--out", second.parent]
    assert "start-from 1-hnca, epochs 1, sha256:" in (told := refused(command, capsys))
    assert ", now (not set)" in told
    train(PLAIN, first.parent, 2)
    assert "now 1-hnca, epochs 2, sha256:" in refused([*command, "--start-from", first], capsys)
    assert "start-from (not set), now" in refused([*PLAIN, "--out", first.parent, "--start-from", second], capsys)
    page = ["report", str(second.parent)]
    main(page)
    assert "1-hnca, epochs 1" in (second.parent / "report.html").read_text()


def test_what_cannot_be_started_from_is_told(tmp_path, capsys):
    first = train(PLAIN, tmp_path / "first", 1)
    before = (first / "metrics.jsonl").read_bytes()
    out = tmp_path / "out"
    command = [*PLAIN, "--epochs", "1", "--out", out, "--start-from"]
    assert "is no run, as it has no config.json" in refused([*command, tmp_path / "nowhere"], capsys)
    assert "is no run, as it has no config.json" in refused([*command, first.parent], capsys)
    assert "cannot be read (Not a directory)" in refused([*command, first / "metrics.jsonl"], capsys)
    assert "seed 2; expected 0 to 1" in refused([*command, first, "--seeds", "3"], capsys)
    assert "is of another network (width 4, now 6); expected" in refused([*command, first, "--width", "6"], capsys)
    assert "(layers 1, now 2)" in refused([*command, first, "--layers", "1", "2"], capsys)
    assert "(experiment bandit, now vae)" in refused(["vae", *command[1:-1], "--start-from", first], capsys)
    vae = ["vae", *COMMON, "--out", out, "--start-from", first]
    for option in (["--output-bias", "data"], ["--encoder-scale", "3"]):
        assert f"{' '.join(option)}" in (told := refused([*vae, *option], capsys))
        assert "expected none with --start-from" in told
    protocol = ["vae", "--layers", "1", "--protocol", "disarm", "--out", out, "--start-from", first]
    assert "is of another network" in refused([*protocol, "--seeds", "1"], capsys)
    over = [*PLAIN, "--epochs", "1", "--overwrite", "--out", first.parent, "--start-from", first]
    assert "would replace what it starts from" in refused(over, capsys)
    assert (first / "metrics.jsonl").read_bytes() == before
    empty = tmp_path / "1-hnca"
    shutil.copytree(first, empty)
    for checkpoint in empty.glob("checkpoint-*"):
        checkpoint.unlink()
    assert "has no whole checkpoint yet" in refused([*command, empty], capsys)
    for odd in (3, {"run": "a", "epochs": "b", "content": "c"}, {"epochs": 3}):
        config = {**json.loads((first / "config.json").read_text()), "start": odd}
        (empty / "config.json").write_text(json.dumps(config))
        assert "start: not as it was written" in refused([*command, empty], capsys)
    assert not out.exists()
