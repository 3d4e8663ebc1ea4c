"""Images of a user's own: what is read, what is refused, and training on them."""

import hashlib
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca
from hnca.experiments.commands.main import main
from hnca.experiments.data import DataError, facts_of, load_dataset

pytestmark = pytest.mark.usefixtures("quick_compilation")


def own(path, **changes):
    numbers = np.random.default_rng(0)
    arrays = {
        "train_images": numbers.integers(0, 256, (40, 6, 7), dtype=np.uint8),
        "train_labels": numbers.integers(0, 3, 40),
        "test_images": numbers.integers(0, 256, (14, 6, 7), dtype=np.uint8),
        "test_labels": np.arange(14).reshape(14, 1) % 3,
    }
    np.savez(path, **{name: value for name, value in {**arrays, **changes}.items() if value is not None})
    return str(path)


class TestOwn:
    def test_it_is_read(self, tmp_path):
        name = own(tmp_path / "own.npz")
        data, facts = load_dataset(name), facts_of(name)
        assert [a.shape for a in data] == [(40, 6, 7), (40,), (14, 6, 7), (14,)]
        digest = hashlib.sha256(Path(name).read_bytes()).hexdigest()
        assert facts == ("own.npz", f"sha256:{digest}", 40, (6, 7), 3, 0)
        unlabelled = own(tmp_path / "unlabelled.npz", train_labels=None, test_labels=None)
        assert facts_of(unlabelled).classes is None

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"test_images": None}, r"has no test_images \(found train_images, train_labels, test_labels\)"),
            (
                {"test_images": None, "x_test": np.zeros(2)},
                r"has no test_images \(found train_images, train_labels, test_labels, x_test\)",
            ),
            (
                {"test_images": np.zeros((0, 6, 7), np.uint8)},
                r"test_images of shape \(0, 6, 7\) has no pixels; expected images",
            ),
            (
                {"train_images": np.zeros((3, 4), np.uint8)},
                r"train_images is uint8 of shape \(3, 4\); expected uint8",
            ),
            ({"train_images": np.ones((3, 4, 4))}, r"train_images is float64 of shape"),
            ({"train_images": np.ones((40, 6, 7), np.uint8)}, "no value above 1; expected grey values from 0 to 255"),
            ({"test_images": np.full((14, 7, 7), 9, np.uint8)}, "are 6 by 7 and 7 by 7; expected one height and width"),
            ({"test_labels": None}, "labels of one part only"),
            ({"test_labels": np.zeros(13, int)}, r"test_labels is int64 of shape \(13,\); expected 14 integers"),
            ({"test_labels": np.zeros(14)}, "test_labels is float64"),
            ({"train_labels": np.full(40, -1)}, "train_labels has -1"),
            ({"train_labels": np.array([{}] * 40)}, "is damaged, or no .npz file of numbers"),
        ],
    )
    def test_what_is_wrong_with_it_is_said(self, changes, problem, tmp_path):
        with pytest.raises(DataError, match=rf"own\.npz: .*{problem}"):
            load_dataset(own(tmp_path / "own.npz", **changes))

    def test_files_that_are_none(self, tmp_path):
        whole = Path(own(tmp_path / "own.npz")).read_bytes()
        np.save(tmp_path / "array.npy", np.ones(3))
        np.savez(tmp_path / "objects.npz", train_images=np.array([None]))
        parts = [(tmp_path / name).read_bytes() for name in ("array.npy", "objects.npz")]
        contents = (whole[: len(whole) // 2], b"", b"text", *parts)
        for number, content in enumerate(contents):
            path = tmp_path / f"{number}.npz"
            path.write_bytes(content)
            with pytest.raises(DataError, match=rf"{number}\.npz: .*\.npz file") as error:
                load_dataset(str(path))
            assert "allow_pickle" not in str(error.value)

    def test_checked_on_the_command_line(self, tmp_path, capsys):
        main(["data", "check", own(tmp_path / "own.npz")])
        assert capsys.readouterr().out.endswith("own.npz: 40 images of 6 by 7, labels below 3\n")


SIZES = ["--layers", "1", "--width", "3", "--epochs", "1", "--seeds", "1", "--batch-size", "7"]


class TestTraining:
    @pytest.mark.parametrize("command", ["bandit", pytest.param("vae", marks=pytest.mark.thorough)])
    def test_on_images_of_ones_own_and_loading_what_was_trained(self, command, tmp_path, monkeypatch):
        monkeypatch.setattr("hnca.experiments.runs.running.draw_figure", lambda *_: [])
        name = own(tmp_path / "own.npz")
        main([command, *SIZES, "--estimators", "hnca", "--dataset", name, "--out", str(tmp_path / "runs")])
        run = tmp_path / "runs" / "1-hnca"
        config = json.loads((run / "config.json").read_text())
        assert config["data"]["image_shape"] == [6, 7]
        assert "dataset" not in config["settings"]
        model = hnca.load(run)
        trace = model.network.sample(jax.random.key(0), {"image": jnp.ones((2, 42))})
        if command == "bandit":
            assert trace.logits["action"].shape == (2, 1, 3)
        else:
            assert model.decoder.sample(jax.random.key(1), {}, (2,))["image"].shape == (2, 42)
            assert (run / "samples.png").exists()

    def test_a_run_on_other_images_is_refused(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr("hnca.experiments.runs.running.draw_figure", lambda *_: [])
        arguments = ["bandit", *SIZES, "--estimators", "hnca", "--out", str(tmp_path / "runs"), "--dataset"]
        first = own(tmp_path / "own.npz")
        main([*arguments, first])
        moved = Path(first).rename(tmp_path / "moved.npz")
        capsys.readouterr()
        main([*arguments, str(moved)])
        assert "finished before" in capsys.readouterr().out
        other = own(tmp_path / "other.npz", train_labels=np.arange(40) % 3)
        with pytest.raises(SystemExit):
            main([*arguments, other])
        assert "started with other settings (dataset sha256:" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("changes", "options", "problem"),
        [
            ({"train_labels": None, "test_labels": None}, [], "own.npz: has no labels; expected labels"),
            ({}, ["--batch-size", "41"], "--batch-size 41: expected at most 40, the number of images of own"),
            (
                {"train_images": np.full((9, 4, 8), 9, np.uint8), "test_images": np.full((9, 4, 8), 9, np.uint8)}
                | {"train_labels": np.ones(9, int), "test_labels": np.ones(9, int)},
                ["--torso", "conv"],
                "--torso conv: images of 4 by 8 pixels; expected at least 5 by 5",
            ),
        ],
        ids=["no labels", "too few", "too small"],
    )
    def test_data_that_are_not_fit_for_it(self, changes, options, problem, tmp_path, capsys):
        name = own(tmp_path / "own.npz", **changes)
        with pytest.raises(SystemExit) as end:
            main(["bandit", *SIZES, "--dataset", name, "--out", str(tmp_path / "runs"), *options])
        assert end.value.code == 2
        assert problem in capsys.readouterr().err
