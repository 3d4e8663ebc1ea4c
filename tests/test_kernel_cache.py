"""What may lie in the kernel's cache, and what a compiler may do: nothing foreign is loaded, and nothing hangs."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hnca.messages import compiled
from hnca.messages.compiled import build, choice, library

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the compilers here are shell scripts")

TO = 'for word; do test "$last" = -o && to="$word"; last="$word"; done\n'
"""Leaves in `to` what the compiler is to write."""


@pytest.fixture(scope="module")
def whole():
    """A library that can be loaded."""
    if not compiled.status().compiled:
        pytest.skip(f"the compiled kernel is not used here: {compiled.status().detail}")
    return compiled.status().detail


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Makes a compiler of a shell script; its cache is empty, and it has four seconds."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "_SECONDS", 4)

    def make(script, *arguments):
        path = tmp_path / "a compiler"
        path.write_bytes(b"#!/bin/sh\n" + script.encode() if isinstance(script, str) else script)
        path.chmod(0o755)
        monkeypatch.setenv("CXX", " ".join([f"'{path}'", *arguments]))

    return make


@pytest.fixture
def kept(compiler, whole, tmp_path):
    """A library in the cache, of a compiler that is quick and counts how often it is called."""
    compiler(f"echo called >> '{tmp_path}/calls'\n{TO}cp '{whole}' \"$to\"\n", "-O2")
    return build.built_library()


def calls(tmp_path):
    return (tmp_path / "calls").read_text().count("called")


def test_it_is_built_once_and_only_its_user_can_write_it(kept, whole, tmp_path):
    assert build.built_library() == kept
    assert calls(tmp_path) == 1
    assert not {kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777} - {0o700}
    assert sorted(path.suffix for path in kept.parent.iterdir()) == [".lock", ".so"]


def in_place_of(path, how):
    """Puts something else there."""
    path.unlink()
    return {
        "a link": lambda: path.symlink_to("/nowhere"),
        "a FIFO": lambda: os.mkfifo(path),
        "a folder": path.mkdir,
    }[how]()


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: os.truncate(path, 4096),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
    "writable by others": lambda path: path.chmod(0o722),
    **{how: lambda path, how=how: in_place_of(path, how) for how in ("a link", "a FIFO", "a folder")},
}


@pytest.mark.parametrize("how", DAMAGE)
def test_what_is_not_what_was_written_is_built_anew(how, kept, whole, tmp_path):
    DAMAGE[how](kept)
    again = build.built_library()
    assert again.read_bytes() == Path(whole).read_bytes()
    assert calls(tmp_path) == 2


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_what_another_user_has_put_there_is_not_loaded(kept, tmp_path):
    os.chown(kept, 12345, 12345)
    assert build.built_library().stat().st_uid == 0
    assert calls(tmp_path) == 2
    os.chown(kept.parent, 12345, 12345)
    with pytest.raises(library.BuildError, match="can be written by others"):
        build.built_library()


def test_a_folder_that_others_can_write_is_not_used(kept):
    kept.parent.chmod(0o777)
    with pytest.raises(library.BuildError, match=r"can be written by others; expected .* chmod 700"):
        build.built_library()
    kept.parent.chmod(0o700)
    kept.parent.rename(kept.parent.parent / "real")
    kept.parent.symlink_to(kept.parent.parent / "real")
    with pytest.raises(library.BuildError, match="but a link or a file"):
        build.built_library()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exec sleep 60", "took longer than"),
        ("sleep 60\nexit", "took longer than"),
        ("exec yes error", "messages without end"),
        ("cat", "wrote no library"),
        (TO + 'ln -s /bin/sh "$to"', "wrote no library"),
        (TO + 'mkfifo "$to"', "wrote no library"),
        (TO + 'head -c 5000 /dev/urandom > "$to"', "cannot be loaded"),
        (TO + 'cp "{whole}" "$to"; truncate -s 5000 "$to"', "cannot be loaded"),
        (r"printf 'error: \377\033[31m red\nmore' >&2; exit 1", "failed: error: � .31m red$"),
        ("kill -9 $$", "failed: exit code -9"),
        (b"\0nonsense", "cannot be started"),
    ],
)
def test_a_bad_compiler_means_pure_jax_and_a_reason(script, reason, compiler, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "_SECONDS", 1.5 if "longer" in reason else 30)
    compiler(script.replace("{whole}", whole) if isinstance(script, str) else script)
    monkeypatch.setattr(choice, "shipped_library", lambda: None)
    begun = time.monotonic()
    status = choice._registered.__wrapped__()
    assert not status.compiled
    assert time.monotonic() - begun < 40
    with pytest.raises(library.BuildError, match=reason):
        raise library.BuildError(status.detail)
    assert not list((tmp_path / "cache" / "hnca" / "kernel").glob("building-*"))


@pytest.mark.parametrize(("words", "reason"), [("g++ '-O2", "cannot be understood"), ("  ", "no C\\+\\+ compiler")])
def test_a_compiler_that_is_none(words, reason, monkeypatch):
    monkeypatch.setenv("CXX", words)
    with pytest.raises(library.BuildError, match=reason):
        build.built_library()


def test_of_several_processes_one_builds(compiler, whole, tmp_path):
    compiler(f"echo called >> '{tmp_path}/calls'\n{TO}sleep 0.5\ncp '{whole}' \"$to\"\n")
    found = []
    threads = [threading.Thread(target=lambda: found.append(build.built_library())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls(tmp_path) == 1
    assert len(found) == 3
    assert len(set(found)) == 1


def test_what_one_that_was_killed_has_left_is_cleared_away(compiler, whole, tmp_path):
    compiler(f"{TO}test -e '{tmp_path}/begun' && exec cp '{whole}' \"$to\"\ntouch '{tmp_path}/begun'\nexec sleep 5\n")
    script = "from hnca.messages.compiled import build\nbuild.built_library()"
    path = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path})
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    folder = build.built_library().parent
    assert sorted(path.suffix for path in folder.iterdir()) == [".lock", ".so"]


def test_a_library_that_came_with_the_package_is_used_if_it_is_whole(whole, tmp_path, monkeypatch):
    content = Path(whole).read_bytes()
    kind = library.shipped_kind()
    path = tmp_path / library.library_name(kind, content)
    path.write_bytes(content)
    assert library.kept_library(tmp_path, kind) == path
    path.write_bytes(content[:-1])
    assert library.kept_library(tmp_path, kind) is None
