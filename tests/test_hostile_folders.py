"""What lies where something is to be written, and what the page shows of runs that somebody else has touched."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from test_report import make_up

from hnca.experiments.bandit import Bandit
from hnca.experiments.commands.main import main
from hnca.experiments.data import Facts
from hnca.experiments.data.loading import facts_of
from hnca.experiments.figures.curves import draw_figure, paper_figure
from hnca.experiments.figures.saving import MARKS, save_figure
from hnca.experiments.files import opened_to_append, require_own, write_atomically
from hnca.experiments.settings import FigureSettings
from hnca.experiments.store import Claim, ClaimedError, read_rows
from hnca.experiments.store.claim import first_given_up

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def refused(arguments, capsys):
    """Runs a command, and returns its one line of complaint."""
    with pytest.raises(SystemExit) as end:
        main(list(map(str, arguments)))
    told = capsys.readouterr().err
    assert end.value.code in (1, 2)
    assert told.count("\n") == 1
    return told


@pytest.fixture
def runs(tmp_path):
    out = tmp_path / "runs"
    make_up(FigureSettings(1, seeds=2, layers=(1,), out=out), epochs=2, seeds=2)
    return out


IN_THE_WAY = {
    "FIFO": os.mkfifo,
    "link": lambda path: path.symlink_to(path.with_name("target")),
    "link to nothing": lambda path: path.symlink_to(path.with_name("nothing")),
    "device": lambda path: path.symlink_to("/dev/full"),
    "folder": lambda path: (path / "kept").mkdir(parents=True),
}


@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_what_is_no_file_is_left_alone(kind, runs, tmp_path, capsys):
    (tmp_path / "target").write_text("another's")
    place = tmp_path / "place"
    IN_THE_WAY[kind](place)
    before = place.lstat()
    with pytest.raises(OSError, match="expected a regular file"):
        write_atomically(place, [b"content"])
    with pytest.raises(OSError, match="expected a regular file"):
        opened_to_append(place)
    for arguments in (["report", runs, "--out", place], ["report", runs, "--out", place, "--overwrite"]):
        assert "place" in refused(arguments, capsys)
    assert place.lstat().st_ino == before.st_ino
    assert (tmp_path / "target").read_text() == "another's"


def test_a_planted_link_is_not_followed(tmp_path):
    target = tmp_path / "target"
    target.write_text("another's")
    for name in (".file.partial", ".file.0.partial"):
        (tmp_path / name).symlink_to(target)
    write_atomically(tmp_path / "file", [b"content"])
    assert target.read_text() == "another's"
    assert (tmp_path / "file").read_bytes() == b"content"


def test_another_file_is_replaced_only_if_that_is_said(runs, tmp_path, capsys):
    page = tmp_path / "notes.html"
    page.write_text("<html>notes</html>")
    assert "was written by something else; expected --overwrite" in refused(["report", runs, "--out", page], capsys)
    assert page.read_text() == "<html>notes</html>"
    for more in (["--overwrite"], []):  # the second time it is a page of ours
        main(["report", str(runs), "--out", str(page), *more])
    rows = tmp_path / "rows.json"
    rows.write_text("{}")
    assert "expected --overwrite" in refused(["bench", "--messages", "--json", rows], capsys)


@pytest.mark.parametrize("kind", MARKS)
def test_figures_have_their_mark(kind, tmp_path):
    path = save_figure(Figure(), tmp_path / f"figure.{kind}")
    require_own(path, MARKS[kind])
    Figure().savefig(path)
    with pytest.raises(OSError, match="something else"):
        require_own(path, MARKS[kind])


@pytest.mark.parametrize("out", ["", ".", "/", "runs/.."])
def test_a_name_of_no_file_is_told(out, runs, capsys):
    assert "expected a file" in refused(["report", runs, "--out", out], capsys)
    assert "expected a file" in refused(["export", runs, "--out", out], capsys)


@pytest.mark.parametrize(
    "name", ["a$b", "$\\frac{$", "$$", "[/red] :smile: {}", "<b>&amp;", "日本語", "\x1b[31m", "\udcff"]
)
def test_the_name_of_data_is_text(name, runs, tmp_path):
    rows = read_rows(runs)
    drawn = Bandit.panels[1], Bandit.units, rows
    caption = paper_figure(*drawn, f"{name}$").texts[-1]
    assert not caption.get_parse_math()
    assert all(path.stat().st_size > 5000 for path in draw_figure(1, *drawn, tmp_path, f"{name}$"))


PLANTED = '"><img src=x onerror="document.title=`hacked`"><script>document.title=`hacked`<'


@pytest.fixture
def touched(runs):
    """Runs whose names and numbers somebody has tampered with."""
    run = next(path for path in runs.iterdir() if path.is_dir())
    (run / f"{PLANTED}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (run.parent / "secret").write_bytes(b"\x89PNG\r\n\x1a\nsecret")
    (run / "link.png").symlink_to(run.parent / "secret")
    (run / "other.png").write_bytes(b"no picture")
    os.mkfifo(run / "fifo.png")
    config = json.loads((run / "config.json").read_text())
    config["data"]["name"] = config["settings"]["note"] = f"</title></svg>{PLANTED}$"
    (run / "config.json").write_text(json.dumps(config))
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"epoch"', b'"epocg"')
    (run / "metrics.jsonl").write_bytes(b"".join(lines))
    main(["report", str(runs)])
    return (runs / "report.html").read_text()


def test_nothing_that_was_planted_is_in_the_page(touched):
    assert "<script" not in touched
    assert "<img src=x" not in touched
    assert "secret" not in touched
    assert "Content-Security-Policy" in touched.split("<title>")[0]
    for name in ("link", "other", "fifo"):
        assert f"{name}" in touched.split("Left out, being no regular files of this format: ")[1]
    assert "1 of 2" in touched  # the altered row, and what follows it


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_shows_the_page_and_runs_nothing(touched, runs, tmp_path):
    flags = ["--headless", "--disable-gpu", "--no-sandbox", f"--user-data-dir={tmp_path / 'profile'}"]
    page = runs / "report.html"

    def shown(flag=()):
        command = [BROWSER, *flags, *flag, "--virtual-time-budget=3000", "--dump-dom", page.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout

    dom = shown()
    assert "Final values" in dom
    assert "<title>hnca: " in dom
    # The browser would say so: the same page, were names not escaped and had it no policy.
    unguarded = touched.replace("Content-Security-Policy", "x")
    page.write_text(unguarded.replace("</body>", f'<b title="{PLANTED}/script></body>'))
    assert "<title>hacked</title>" in shown()


def test_claims_of_other_versions_are_told_and_given_up(tmp_path):
    (tmp_path / "run").mkdir()
    other = Claim(tmp_path / "run", lease_seconds=60.0).take()
    ours = Claim(tmp_path / "run", lease_seconds=0.6)
    with pytest.raises(ClaimedError, match="claimed by process"):
        ours.take()
    assert ours.is_foreign
    assert first_given_up({"run": ours}, poll_seconds=0.1) == "run"
    ours.release()
    other.release()


def test_a_choice_of_one_is_refused_before_anything_is_written(tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 5), dtype=np.uint8)
    labels = np.zeros(9, int)
    arrays = {"train_images": images, "test_images": images, "train_labels": labels, "test_labels": labels}
    np.savez(tmp_path / "own.npz", **arrays)
    assert isinstance(facts_of(str(tmp_path / "own.npz")), Facts)
    command = ["bandit", "--batch-size", "3", "--dataset", tmp_path / "own.npz", "--out", tmp_path / "out"]
    assert "expected at least two classes" in refused(command, capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("port", ["²", "٣", "0", "99999", "", "-1"])
def test_odd_digits_are_no_port(port, capsys):
    command = ["vae", "--coordinator", f"localhost:{port}", "--processes", "2", "--process-id", "0"]
    assert "expected HOST:PORT" in refused(command, capsys)


def test_a_name_in_brackets_is_no_markup(tmp_path, runs, capsys):
    main(["report", str(runs), "--out", str(tmp_path / "[/red]page:smile:.html")])
    assert "[/red]page:smile:.html" in capsys.readouterr().out
    assert Path(tmp_path / "[/red]page:smile:.html").is_file()
