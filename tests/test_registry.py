"""An experiment is a file, its settings and a row: one that nothing else knows is trained, resumed, reported, timed."""

import json

import pytest
from small import images

import hnca
from hnca.experiments.commands.main import main
from hnca.experiments.methods import METHODS, Method, colour, estimator_of, label, place
from hnca.experiments.registry import EXPERIMENTS, Registered
from hnca.experiments.settings import BanditSettings, CompareSettings, SettingsError
from hnca.experiments.store import read_rows
from hnca.experiments.timing.updates import YARDSTICK

pytestmark = pytest.mark.usefixtures("quick_compilation")

TOY = ["toy", "--layers", "1", "2", "--width", "3", "--seeds", "2", "--batch-size", "20"]


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "toy", Registered("toy.ToySettings", "toy.Toy"))
    monkeypatch.setattr("hnca.experiments.runs.trainer.on_device", images)


def numbers(out):
    return [row._replace(seconds=0.0) for row in read_rows(out)]


@pytest.mark.usefixtures("quick_compilation")
def test_a_toy_is_trained_resumed_and_reported(tmp_path, capsys):
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    main([*TOY, "--epochs", "2", "--out", str(whole)])
    assert "train likeness" in capsys.readouterr().out
    for epochs in ("1", "2"):
        main([*TOY, "--epochs", epochs, "--out", str(halved)])
    assert numbers(halved) == numbers(whole)
    assert len(numbers(whole)) == 2 * 2 * 2
    assert (whole / "figure9.png").stat().st_size > 5000
    main(["report", str(whole)])
    page = (whole / "report.html").read_text()
    assert page.count("<svg") == 1
    assert "test likeness" in page
    model = hnca.load(whole / "2-hnca", seed=1)
    assert model.network.layers["last"].conditional.weights[0].shape == (3, 3)


@pytest.mark.thorough
@pytest.mark.usefixtures("quick_compilation")
def test_a_toy_is_timed(tmp_path):
    rows = tmp_path / "rows.jsonl"
    command = ["bench", "--experiments", "toy", "--layers", "1", "--width", "2", "--batch-size", "2", "--updates", "1"]
    main([*command, "--repeats", "1", "--estimators", "hnca", "nvil", "--json", str(rows)])
    found = [json.loads(line)["estimator"] for line in rows.read_text().splitlines()]
    assert found == ["backpropagation", *["hnca"] * 2, *["nvil"] * 2]
    assert YARDSTICK not in METHODS


def test_a_toy_has_its_help_and_its_mistakes(capsys):
    with pytest.raises(SystemExit):
        main(["toy", "--help"])
    assert "Units learn to be as the first pixel is" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["toy", "--estimators", "vimco"])
    assert "--estimators vimco: expected some of hnca, " in capsys.readouterr().err


def test_an_estimator_is_a_row(monkeypatch):
    row = Method("mine", "HNCA", "my own", "as I like it", "reward", ("#123456", "#234567"), {"prune_children": False})
    monkeypatch.setitem(METHODS, "mine", row)
    settings = BanditSettings(estimators=("mine", "nvil"), baseline=True)
    assert settings.all_estimators == ("mine+baseline", "nvil")
    made = estimator_of("mine+baseline")
    assert not made.prune_children
    assert isinstance(made.baseline, hnca.RunningMean)
    assert (label("mine+baseline"), colour("mine+baseline")) == ("my own with baseline", "#234567")
    assert place("mine") > place("vimco")
    assert "mine+baseline" in CompareSettings(experiment="vae").names
    with pytest.raises(SettingsError, match=r"--estimators mine\+learned: expected some of "):
        BanditSettings(estimators=("mine+learned",))
