"""A validation split: which images are learned from and measured on, what is refused, and that runs say so."""

import json

import numpy as np
import pytest
from test_own_data import own

from hnca.experiments.commands.main import main
from hnca.experiments.data import titled
from hnca.experiments.settings import SettingsError
from hnca.experiments.settings.data import DataSettings

pytestmark = pytest.mark.usefixtures("quick_compilation")

RUN = ["bandit", "--layers", "1", "--width", "3", "--batch-size", "5", "--seeds", "1", "--estimators", "hnca"]


def numbered(tmp_path) -> str:
    """40 training images of which each is of its own grey value, 0 to 39, and so are the labels, by 4."""
    values = np.arange(40, dtype=np.uint8)
    images = np.tile(values[:, None, None], (1, 6, 7))
    return own(tmp_path / "own.npz", train_images=images, train_labels=(values % 4).astype(np.int64))


@pytest.mark.parametrize(
    ("training", "learned", "measured"),
    [(None, range(30), range(30, 40)), (20, range(20), range(30, 40)), (30, range(30), range(30, 40))],
)
def test_the_last_images_are_measured_on_and_not_learned_from(tmp_path, training, learned, measured):
    settings = DataSettings(numbered(tmp_path), training_images=training, validation_images=10)
    data, facts = settings.load(), settings.facts(batch_size=5)
    np.testing.assert_array_equal(data.train_images[:, 0, 0], learned)
    np.testing.assert_array_equal(data.test_images[:, 0, 0], measured)
    np.testing.assert_array_equal(data.train_labels, np.asarray(learned) % 4)
    np.testing.assert_array_equal(data.test_labels, np.asarray(measured) % 4)
    assert (facts.train_images, facts.validation_images) == (len(learned), 10)


def test_without_one_the_test_images_are_measured_on(tmp_path):
    name = numbered(tmp_path)
    with np.load(name) as file:
        np.testing.assert_array_equal(DataSettings(name).load().test_images, file["test_images"])
    assert DataSettings(name).facts(batch_size=5).validation_images == 0


@pytest.mark.parametrize(
    ("given", "batch", "message"),
    [
        (
            {"validation_images": 40},
            5,
            "--validation-images 40: expected fewer than 40, the number of images in own.npz",
        ),
        (
            {"validation_images": 10, "training_images": 31},
            5,
            "--training-images 31: expected at most 30, the number of images in own.npz but --validation-images 10",
        ),
        (
            {"validation_images": 10},
            31,
            "--batch-size 31: expected at most 30, the number of images of own.npz that are learned from",
        ),
        ({"training_images": 20}, 21, "--batch-size 21: expected at most 20, the number of images of"),
        ({"validation_images": 0}, 5, "--validation-images 0: expected a whole number of at least 1"),
    ],
)
def test_what_is_not_there_cannot_be_kept_back(tmp_path, given, batch, message):
    with pytest.raises(SettingsError, match=message):
        DataSettings(numbered(tmp_path), **given).facts(batch)


def test_runs_and_figures_say_so_and_go_on_only_with_the_same(tmp_path, monkeypatch, capsys):
    remarks = []
    monkeypatch.setattr("hnca.experiments.runs.running.draw_figure", lambda *args: remarks.append(args) or [])
    out = tmp_path / "runs"
    command = [*RUN, "--dataset", numbered(tmp_path), "--out", str(out)]
    main([*command, "--validation-images", "10", "--epochs", "1"])
    assert any("own.npz, measured on 10 validation images" in str(part) for part in remarks[-1])
    kept = json.loads((out / "1-hnca" / "config.json").read_text())["data"]
    assert (kept["train_images"], kept["validation_images"]) == (30, 10)
    for other in ([], ["--validation-images", "9", "--training-images", "30"]):
        with pytest.raises(SystemExit):
            main([*command, *other, "--epochs", "2"])
        assert "validation-images 10, now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "learned", "kept_back", "told"),
    [
        ("mnist", 60_000, 0, "mnist"),
        ("mnist", 50_000, 0, "mnist, learned from 50000 of 60000 images"),
        ("mnist", 50_000, 10_000, "mnist, measured on 10000 validation images"),
        ("mnist", 1_000, 10_000, "mnist, learned from 1000 of 60000 images, measured on 10000 validation images"),
        ("own.npz", 30, 10, "own.npz, measured on 10 validation images"),
    ],
)
def test_a_caption_says_how_many_images_there_were_if_not_all(name, learned, kept_back, told):
    assert titled(name, learned, kept_back) == told
