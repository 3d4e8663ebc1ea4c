"""Runs on disk: whatever is cut short, taken away or claimed by others is noticed, and what is whole is kept."""

import json
import os
import subprocess
import sys
import time

import pytest

from hnca.experiments.files import remove_partial_files, write_atomically
from hnca.experiments.store import (
    Claim,
    ClaimedError,
    LostClaimError,
    MetricsFile,
    Row,
    StoredRunError,
    as_json,
    begin_anew,
    differences,
    first_given_up,
    progress,
    read_configuration,
    read_metrics,
    write_configuration,
)
from hnca.experiments.store.checkpoint import checkpoints, read_checkpoint, remove_later, write_checkpoint

CONFIGURATION = {
    "experiment": "vae",
    "layers": 2,
    "estimator": "hnca+baseline",
    "data": {"name": "mnist", "content": "mnist"},
    "settings": {"width": 100, "test_epochs": (2, 5), "entropy": "sampled"},
    "epochs": 5,
    "environment": {},
    "continued": [],
}


def rows(epoch, seeds=2):
    return [Row("vae", "hnca", {}, 2, seed, epoch, {"train_elbo": -100.5 / epoch}, 0.5) for seed in range(seeds)]


def begin(directory, epochs):
    """What a run leaves after some epochs."""
    write_configuration(directory, CONFIGURATION)
    with MetricsFile(directory, after_epoch=0) as metrics:
        for epoch in range(1, epochs + 1):
            metrics.write(rows(epoch))
            write_checkpoint(directory, epoch, bytes(range(256)) * epoch, {"seeds": 2})


def in_a_process(code, **options):
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, **options)


def holder(directory, lease_seconds=180.0):
    """A process that holds the claim until it is killed."""
    process = in_a_process(
        "import pathlib, time\nfrom hnca.experiments.store import Claim\n"
        f"with Claim(pathlib.Path({str(directory)!r}), {lease_seconds}).take():\n"
        "    print('taken', flush=True)\n    time.sleep(100)"
    )
    assert process.stdout.readline() == "taken\n"
    return process


def end(process):
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, [b"one ", memoryview(b"two")])
    assert path.read_bytes() == b"one two"

    def cut_short():
        yield b"three"
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomically(path, cut_short())
    assert path.read_bytes() == b"one two"
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / ".other.partial").write_bytes(b"of a killed process")
    remove_partial_files(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_two_checkpoints_are_kept_and_every_bit_of_them_is_sealed(tmp_path):
    begin(tmp_path, 4)
    assert [checkpoint.epoch for checkpoint in checkpoints(tmp_path)] == [4, 3]
    newest = checkpoints(tmp_path)[0]
    header, content = read_checkpoint(newest)
    assert header["epoch"] == 4
    assert header["seeds"] == 2
    assert content == bytes(range(256)) * 4
    whole = newest.path.read_bytes()
    for place in (0, 30, whole.index(b"\n"), whole.index(b"\n") + 5, len(whole) // 2, len(whole) - 1):
        newest.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert progress(tmp_path, 2).epoch == 3, place
    for length in (0, 5, 200, len(whole) - 1):
        newest.path.write_bytes(whole[:length])
        found = progress(tmp_path, 2)
        assert found.epoch == 3
        assert found.checkpoint == checkpoints(tmp_path)[1]
        assert "checkpoint-000004.eqx" in found.damaged[0]
    newest.path.write_bytes(whole)
    assert progress(tmp_path, 2) == (4, newest, (), (header, content))
    remove_later(tmp_path, 3)
    assert [checkpoint.epoch for checkpoint in checkpoints(tmp_path)] == [3]


@pytest.mark.parametrize("damaged", [b"not a row\n", b""])
def test_a_damaged_row_before_the_checkpoints_is_no_reason_to_begin_anew(tmp_path, damaged):
    begin(tmp_path, 4)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], damaged, *lines[4:]]))
    with pytest.raises(StoredRunError, match=r"metrics.jsonl: whole up to epoch 1 only, .* of epoch 3 and later"):
        progress(tmp_path, 2)
    path.unlink()
    with pytest.raises(StoredRunError, match="whole up to epoch 0 only"):
        progress(tmp_path, 2)
    begin_anew(tmp_path)
    assert progress(tmp_path, 2) == (0, None, (), None)


@pytest.mark.parametrize("left", [b"", b'{"seed": 1, "epo', b"\0" * 30, b"17\n", b'{"seed": 1}\n'])
def test_a_torn_last_line_falls_back_to_the_checkpoint_before(tmp_path, left):
    begin(tmp_path, 3)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + left)
    assert read_metrics(tmp_path) == [*rows(1), *rows(2), rows(3)[0]]
    assert progress(tmp_path, 2).epoch == 2
    with MetricsFile(tmp_path, after_epoch=2) as metrics:
        assert read_metrics(tmp_path) == [*rows(1), *rows(2)]
        metrics.write(rows(3))
    assert path.read_bytes() == b"".join(lines)


def test_rows_are_on_disk_as_soon_as_they_are_written(tmp_path):
    with MetricsFile(tmp_path, after_epoch=0) as metrics:
        for epoch in (1, 2):
            metrics.write(rows(epoch))
            assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1]) == as_json(rows(epoch)[-1])
    assert progress(tmp_path, 2).epoch == 0
    assert progress(tmp_path / "nowhere", 2) == (0, None, (), None)


def test_settings_that_differ_are_named(tmp_path):
    assert read_configuration(tmp_path) is None
    write_configuration(tmp_path, CONFIGURATION)
    stored = read_configuration(tmp_path)
    assert differences(stored, {**CONFIGURATION, "epochs": 9}) == []
    settings = {**CONFIGURATION["settings"], "width": 200, "test_epochs": (), "torso": "conv"}
    del settings["entropy"]
    assert differences(stored, {**CONFIGURATION, "layers": 3, "settings": settings}) == [
        "layers 2, now 3",
        "width 100, now 200",
        "test-epochs 2 5, now (nothing)",
        "entropy sampled, now (not set)",
        "torso (not set), now conv",
    ]
    edited = ({**CONFIGURATION, "format": 4}, {**stored, "data": []}, {**stored, "epochs": "5"})
    for damaged in ("", "{", "[]", '{"format": 3}', *map(json.dumps, edited)):
        (tmp_path / "config.json").write_text(damaged)
        with pytest.raises(StoredRunError, match=r"config\.json"):
            read_configuration(tmp_path)


def test_a_run_of_before_is_read_as_runs_are_now(tmp_path):
    former = {("method" if name == "estimator" else name): value for name, value in CONFIGURATION.items()}
    (tmp_path / "config.json").write_text(json.dumps({"format": 2, **former}))
    of_before = read_configuration(tmp_path)
    write_configuration(tmp_path, CONFIGURATION)
    assert of_before == read_configuration(tmp_path)


def test_a_claim_is_refused_while_its_owner_lives_and_taken_over_when_it_is_dead(tmp_path):
    owner = holder(tmp_path)
    with pytest.raises(ClaimedError, match=f"process {owner.pid} on ") as refused:
        Claim(tmp_path).take()
    assert refused.value.owner == Claim(tmp_path).owner()
    assert first_given_up({"run": Claim(tmp_path)}) is None
    end(owner)
    with Claim(tmp_path).take() as claim:
        claim.check()
        assert claim.owner().pid == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_the_process_number_of_a_dead_owner_may_be_given_to_another(tmp_path):
    owner = holder(tmp_path)
    path = tmp_path / "claim"
    fields = path.read_text().splitlines()
    end(owner)
    another = [f"pid={os.getppid()}" if line.startswith("pid=") else line for line in fields]
    path.write_text("\n".join(another) + "\n")
    with Claim(tmp_path).take() as claim:
        claim.check()


def test_an_owner_elsewhere_is_watched_for_a_sign_of_life(tmp_path):
    """Its process cannot be asked; three minutes of silence are a second here."""
    with Claim(tmp_path, 1.0).take():
        text = (tmp_path / "claim").read_text()
    elsewhere = "".join(
        "host=elsewhere\n" if line.startswith("host=") else line for line in text.splitlines(keepends=True)
    )
    path = tmp_path / "claim"
    path.write_text(elsewhere)
    with pytest.raises(ClaimedError, match="on elsewhere"):
        Claim(tmp_path, 1.0).take()
    started = time.monotonic()
    claim = Claim(tmp_path, 1.0)
    assert first_given_up({"run": claim}, 0.1) == "run"
    assert time.monotonic() - started > 0.9
    claim.check()
    claim.release()
    path.write_text(elsewhere)
    alive = in_a_process(f"import os, time\nwhile True: os.utime({str(path)!r}); print(flush=True); time.sleep(0.2)")
    assert alive.stdout.readline() == "\n"
    assert first_given_up({"run": Claim(tmp_path, 2.0)}, 0.1) is None
    end(alive)


def test_a_claim_of_nothing_as_a_power_cut_leaves_it_is_not_waited_for_without_end(tmp_path):
    (tmp_path / "claim").touch()
    claim = Claim(tmp_path, 0.3)
    assert first_given_up({"run": claim}, 0.1) == "run"
    claim.check()
    claim.release()


def test_of_many_that_take_over_a_dead_claim_one_has_it(tmp_path):
    end(holder(tmp_path))
    code = (
        "import pathlib, sys\nfrom hnca.experiments.store import Claim, ClaimedError\n"
        f"claim = Claim(pathlib.Path({str(tmp_path)!r}))\nsys.stdin.readline()\n"
        "try:\n    claim.take(); claim.check(); print('mine', flush=True)\n"
        "except ClaimedError: print('refused', flush=True)\nsys.stdin.readline()"
    )
    contenders = [in_a_process(code, stdin=subprocess.PIPE) for _ in range(4)]
    for process in contenders:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert sorted(process.stdout.readline() for process in contenders) == ["mine\n", *["refused\n"] * 3]
    for process in contenders:
        process.communicate("end\n")


def test_a_claim_that_is_taken_away_is_noticed(tmp_path):
    directory = tmp_path / "run"
    directory.mkdir()
    with Claim(directory).take() as claim:
        path = directory / "claim"
        path.rename(tmp_path / "aside")
        with pytest.raises(LostClaimError, match="claim was removed"):
            claim.check()
        path.write_text(_of_another((tmp_path / "aside").read_text()))
        with pytest.raises(LostClaimError, match="process 7 on elsewhere has taken it over"):
            claim.check()
        path.unlink()
        directory.rmdir()
        with pytest.raises(LostClaimError, match="directory was removed"):
            claim.check()


def _of_another(marker):
    kept = [line for line in marker.splitlines() if not line.startswith(("pid=", "host=", "token="))]
    return "\n".join([*kept, "pid=7", "host=elsewhere", "token=other"]) + "\n"
