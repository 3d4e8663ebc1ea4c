"""The documents tell the truth: code runs as written, links lead somewhere, every public name is in them."""

import importlib.util
import re
from pathlib import Path

import jax
import pytest
from sweeps import some_thorough

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
HOW_TO = sorted(f"how-to/{page.name}" for page in (DOCS / "how-to").glob("*.md"))
RUN = ["first-steps.md", "extending.md", *HOW_TO]


@pytest.mark.parametrize("name", some_thorough(RUN, ["how-to/flax.md", "how-to/orbax.md"]))
def test_the_code_of_a_page_runs_as_written(name):
    if name == "how-to/pytorch.md" and importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), flags=re.DOTALL)
    assert blocks
    # Optax's optimisers and Flax's layers need what the suite otherwise forbids.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        exec("\n".join(blocks), {"__name__": "page"})


def test_every_public_name_is_in_the_reference():
    described = re.findall(
        r"^::: hnca\.(\w+)", "".join(p.read_text() for p in (DOCS / "api").glob("*.md")), re.MULTILINE
    )
    assert sorted(described) == sorted(hnca.__all__)


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_is_in_the_navigation():
    navigation = (DOCS.parent / "mkdocs.yml").read_text()
    for page in PAGES:
        assert f" {page.relative_to(DOCS)}\n" in navigation, page


def test_the_version_stands_in_one_place():
    root = DOCS.parent
    version = re.search(r'^version = "(.*)"', (root / "pyproject.toml").read_text(), flags=re.MULTILINE).group(1)
    assert hnca.__version__ == version
    assert f"version: {version}\n" in (root / "CITATION.cff").read_text()
    assert f"## {version}\n" in (root / "CHANGELOG.md").read_text()
