"""Figures as commands, the page that shows runs, event files for TensorBoard: of runs made up here, but for one."""

import json
import re
import shutil
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from hnca.experiments.bandit import Bandit
from hnca.experiments.commands.figure import _remark
from hnca.experiments.commands.main import main
from hnca.experiments.data.mnist import MNIST
from hnca.experiments.figures.curves import paper_figure
from hnca.experiments.method_rows import METHODS
from hnca.experiments.runs.events import EventFiles
from hnca.experiments.runs.forecast import Forecast
from hnca.experiments.runs.plan import runs_of
from hnca.experiments.settings import BanditSettings, FigureSettings, VAESettings
from hnca.experiments.store import Row, read_metrics, read_rows
from hnca.experiments.vae import VAE

pytestmark = pytest.mark.usefixtures("quick_compilation")

TINY = ["--epochs", "1", "--seeds", "1", "--layers", "1"]


def make_up(settings, epochs, seeds):
    """Writes runs as these settings would leave them, with numbers of no meaning and without checkpoints."""
    numbers = np.random.default_rng(0)
    for run in runs_of(settings.training, MNIST.facts):
        run.directory.mkdir(parents=True)
        fields = ["train_accuracy", "test_accuracy"]
        if run.configuration["experiment"] == "vae":
            fields = ["train_elbo", "test_elbo", "test_bound"]
        rows = [
            {
                "experiment": run.configuration["experiment"],
                **{"estimator": run.estimator, "layers": run.layers, "seed": seed, "epoch": epoch},
                **{field: float(numbers.random()) for field in fields},
                **{"log_gradient_variance": -float(numbers.random()), "seconds": 2.4},
            }
            for epoch in range(1, epochs + 1)
            for seed in range(seeds)
        ]
        (run.directory / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        environment = {"device": "a device & more", "packages": {"jax": "1.2.3"}}
        described = {"format": 3, "epochs": 2, "environment": environment, "continued": [], **run.configuration}
        (run.directory / "config.json").write_text(json.dumps(described))


class Links(HTMLParser):
    """Collects what a page would load, and whether its elements are closed."""

    def __init__(self):
        super().__init__()
        self.loaded, self.open = [], []

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.loaded += [value for name, value in attributes if name in ("src", "href", "xlink:href") and value]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(("number", "figures"), [(1, 1), (3, 1), (4, 1), (5, 1), (6, 2)])
def test_the_page_is_whole_and_needs_no_network(number, figures, tmp_path, capsys):
    make_up(FigureSettings(number, seeds=2, out=tmp_path / "runs"), epochs=2, seeds=2)
    main(["report", str(tmp_path / "runs")])
    page = (tmp_path / "runs" / "report.html").read_text()
    assert "report.html" in capsys.readouterr().out
    links = Links()
    links.feed(page)
    assert not links.open
    assert all(link.startswith(("data:", "#")) for link in links.loaded)
    assert not re.search(r"url\(\s*['\"]?http|@import|<script", page)
    drawn = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawn) == figures
    for svg in drawn:
        ElementTree.fromstring(svg)
        assert "currentColor" in svg
        assert "#010203" not in svg
    labels = {1: "REINFORCE", 3: "DisARM", 4: "HNCA with baseline", 5: "REINFORCE", 6: "HNCA, full reward"}
    assert f"<td>{labels[number]}</td>" in page
    assert "±" in page
    assert "a device &amp; more" in page
    assert '<td class="number">2.00</td>' in page  # milliseconds: 2.4 s for 1200 updates


def test_pictures_are_in_the_page(tmp_path, capsys):
    make_up(FigureSettings(3, seeds=1, layers=(1,), estimators=("hnca",), out=tmp_path), epochs=1, seeds=1)
    (tmp_path / "1-hnca" / "samples.png").write_bytes(b"\x89PNG\r\n\x1a\npicture")
    main(["report", str(tmp_path), "--out", str(tmp_path / "deep" / "page.html")])
    page = (tmp_path / "deep" / "page.html").read_text()
    assert "data:image/png;base64,iVBORw0KGgpwaWN0dXJl" in page
    assert "1-hnca: samples" in page
    assert "not finished" in page
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path / "1-hnca")])
    assert f"expected what a command was given as --out, {tmp_path}, whose run it is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "{path}"], "holds no runs"),
        (["report", "{path}/not-there"], "no such directory"),
        (
            ["bandit", "--estimators", "straight-through"],
            "straight-through: evaluates or differentiates",
        ),
        (["bandit", "--estimators", "unknown"], "--estimators unknown: expected some of"),
        (["vae", "--dataset", "unknown"], "hnca: --dataset unknown: expected mnist,"),
        (["compare", "--draws", "50"], "--draws 50: expected a multiple of 20 from 40 on"),
        (["compare", "--estimators", "hnca", "no"], "--estimators no: expected some of"),
        (["vae", "--estimators", "hnac"], "rws; like hnca?"),
        (["vae", "--layers", "1,2"], "--layers 1,2: expected blanks, no commas"),
        (["compare", "--run", "{path}/none"], "/none: no such directory; expected one such as runs/vae/2-hnca"),
        (["compare", "--epochs", "-1"], "--epochs -1: expected whole numbers"),
        (["figure", "2"], "figure 2: expected one of 1, 3, 4, 5, 6"),
        (["figure", "1", "--methods", "loo"], "--estimators loo: expected some of hnca, reinforce"),
        (["figure", "1", "--epochs", "0"], "--epochs 0: expected"),
        (["figure", "1", "--layers"], "--layers (nothing): expected"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit:
        main([argument.format(path=tmp_path) for argument in arguments])
    assert exit.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def test_runs_that_figures_would_take_for_one_are_refused(tmp_path, capsys):
    make_up(FigureSettings(1, epochs=2, seeds=1, layers=(1,), out=tmp_path), 2, 1)
    copy = tmp_path / "1-hnca-wide"
    shutil.copytree(tmp_path / "1-hnca", copy)
    with pytest.raises(SystemExit) as exit:
        main(["report", str(tmp_path)])
    assert exit.value.code == 2
    assert "1-hnca-wide: of hnca with as many layers as 1-hnca" in capsys.readouterr().err
    (copy / "config.json").unlink()
    main(["report", str(tmp_path)])
    assert "2 runs\nleft out, having no config.json: 1-hnca-wide\n" in capsys.readouterr().out
    assert "settings differ" not in (tmp_path / "report.html").read_text()


def test_runs_of_other_settings_are_told_apart(tmp_path):
    make_up(FigureSettings(1, epochs=2, seeds=1, layers=(1,), out=tmp_path), 2, 1)
    other = tmp_path / "1-hnca" / "config.json"
    other.write_text(other.read_text().replace('"width": 200', '"width": 10'))
    main(["report", str(tmp_path)])
    assert "and their settings differ (see below)" in (tmp_path / "report.html").read_text()


def test_a_dry_run_lists_what_the_paper_needs(tmp_path, capsys):
    main(["figure", "3", "--dry-run", "--out", str(tmp_path / "runs")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 * 8
    assert all(line.endswith("5 seed(s), 0 of 840 epochs") for line in lines)
    assert not (tmp_path / "runs").exists()


@pytest.mark.thorough
def test_a_figure_may_be_of_other_images(tmp_path, capsys):
    rng = np.random.default_rng(0)
    some = {f"{part}_images": rng.integers(0, 256, (60, 28, 28), dtype=np.uint8) for part in ("train", "test")}
    np.savez(tmp_path / "own.npz", **some)
    own = ["--dataset", str(tmp_path / "own.npz"), "--training-images", "50", "--out", str(tmp_path / "runs")]
    main(["figure", "3", *TINY, "--estimators", "hnca", *own])
    config = json.loads((tmp_path / "runs" / "1-hnca" / "config.json").read_text())
    assert (config["data"]["name"], config["data"]["train_images"]) == ("own.npz", 50)
    capsys.readouterr()
    for dry_run in ([], ["--dry-run"]):
        with pytest.raises(SystemExit):
            main(["figure", "1", *TINY, *own, *dry_run])
        assert "own.npz: has no labels" in capsys.readouterr().err


def test_a_shrunk_figure_says_so():
    assert FigureSettings(1).remark(epochs=100, seeds=5, estimators=2, depths=3) == ""
    shrunk = FigureSettings(3).remark(epochs=10, seeds=1, estimators=2, depths=1)
    assert shrunk == "10 of 840 epochs, 1 of 5 seeds, 2 of 8 estimators, 1 of 3 depths"
    # It is drawn of all that is there, whatever this command was told to add to it.
    rows = [Row("vae", name, {}, 2, 0, epoch, {}, 0.5) for name in ("hnca", "loo") for epoch in (1, 2)]
    told = _remark(FigureSettings(3, epochs=1, estimators=("loo",)), rows)
    assert told == "2 of 840 epochs, 1 of 5 seeds, 2 of 8 estimators, 1 of 3 depths"


def test_a_figure_is_drawn_and_what_is_there_is_skipped(tmp_path, capsys):
    command = ["figure", "4", *TINY, "--estimators", "hnca+baseline", "--out", str(tmp_path)]
    main([*command, "--tensorboard"])
    assert "epoch 1/1" in capsys.readouterr().out
    assert (tmp_path / "figure4.pdf").stat().st_size > 5000
    events = (tmp_path / "1-hnca+baseline" / "tensorboard" / "seed-0").glob("events*")
    assert sum(path.stat().st_size for path in events) > 300
    main(command)
    assert "finished before" in capsys.readouterr().out
    main([*command, "-q"])
    assert capsys.readouterr().out == ""


def test_every_estimator_has_a_colour_of_its_own():
    colours = [colour for row in METHODS.values() for colour in row.colours]
    assert len(set(colours)) == len(colours)
    assert len({row.label for row in METHODS.values()}) == len(METHODS)


def test_a_caption_is_no_wider_than_its_figure(tmp_path):
    settings = FigureSettings(6, epochs=2, seeds=2, layers=(2,), estimators=("hnca",), out=tmp_path)
    make_up(settings, epochs=2, seeds=2)
    rows = read_rows(tmp_path)
    figure = paper_figure(VAE.panels[6], VAE.units, rows, _remark(settings, rows))
    parts = [*figure.texts, *figure.legends]
    assert all(0 <= part.get_window_extent().x0 < part.get_window_extent().x1 <= figure.bbox.x1 for part in parts)


def test_event_files_hold_the_measurements(tmp_path):
    with EventFiles(tmp_path, 3) as events:
        events.write([Row("vae", "hnca", {}, 1, 1, 4, {"train_elbo": -100.5, "test_elbo": None}, 0.5)])
    (path,) = (tmp_path / "tensorboard" / "seed-1").glob("events*")
    content = path.read_bytes()
    assert b"train_elbo" in content
    assert b"test_elbo" not in content
    assert np.float32(-100.5).tobytes() in content


def test_the_forecast_counts_what_is_left(tmp_path):
    runs = runs_of(FigureSettings(1, seeds=1, epochs=10, out=tmp_path).training, MNIST.facts)
    forecast = Forecast(runs)
    # 6 runs of 10 epochs at depths 1, 1, 2, 2, 3, 3 and 3 s an epoch and layer, less the two epochs that are behind.
    assert "0:05:54" in forecast.line(runs[0], 2, 3.0)
    assert forecast.line(runs[0], 3, 3.0) is None
    assert Forecast(runs[:1]).line(runs[0], 2, 3.0) is None


def test_bandits_with_baselines_are_figure_4_and_old_rows_are_understood(tmp_path):
    old = {"experiment": "bandit", "estimator": "hnca", "baseline": "running mean", "torso": "none", "layers": 1}
    old |= {"seed": 0, "epoch": 1, "test_accuracy": None, "seconds": 0.5}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(old) + "\n")
    (row,) = read_metrics(tmp_path)
    assert row == Row("bandit", "hnca+baseline", {"torso": "none"}, 1, 0, 1, {"test_accuracy": None}, 0.5)
    assert Bandit.figures([row]) == (4,)
    assert Bandit.figures([row, row._replace(estimator="hnca")]) == (1,)
    assert Bandit.figures([row._replace(about={"torso": "conv"})]) == (5,)
    assert all(number in Bandit.panels for number in BanditSettings.figures)
    assert all(number in VAE.panels for number in VAESettings.figures)
