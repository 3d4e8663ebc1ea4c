"""What a user writes passes the strictest type checker, and what is wrong of it does not."""

import inspect
import subprocess
import sys
from pathlib import Path

import jaxtyping
import pytest

import hnca
import hnca.exact

USAGE = Path(__file__).parent / "user" / "usage.py"

MISUSE = """
import hnca
import jax

hnca.Dense("x", 4, 3)
hnca.Bernoulli(hnca.Free(2), value=(0, 1))
hnca.HNCA(baseline=0.5)
hnca.categorical(jax.random.key(0), jax.numpy.ones(3)).sum(axis="last")
credits: list[jax.Array] = hnca.direct_credits(1, 2, 3)
hnca.no_such_name
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    (folder / "misuse.py").write_text(MISUSE)
    (folder / "usage.py").write_text(USAGE.read_text())
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "misuse.py", "usage.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_a_user_s_code_has_no_errors(said):
    assert "misuse.py" in said
    assert "usage.py" not in said, said


def test_what_is_wrong_is_found(said):
    for line, text in enumerate(MISUSE.splitlines(), 1):
        assert (f"misuse.py:{line}: error" in said) == ("hnca." in text), (text, said)


def test_the_suite_checks_the_annotations_of_all_that_is_public():
    functions = [name for name in hnca.__all__ if inspect.isfunction(getattr(hnca, name))]
    assert len(functions) > 10
    for name in functions:
        assert inspect.unwrap(getattr(hnca, name)) is not getattr(hnca, name), name
    with pytest.raises(jaxtyping.TypeCheckError):
        hnca.exact.gradient(None, None, 3)
