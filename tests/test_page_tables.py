"""The tables of the page of results are what is made of the rows that are kept."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results.md"


@pytest.fixture
def made_again(monkeypatch):
    """What makes a page's tables, which is a script beside others, run from the root."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.chdir(ROOT)
    from page_tables import made_again

    return made_again


def test_the_tables_of_the_page_of_results_are_made_of_the_rows(made_again):
    text, others = made_again(PAGE.read_text())
    assert others == []
    assert text == PAGE.read_text()


def test_another_number_in_a_table_is_told(made_again):
    page = PAGE.read_text()
    cell = re.search(r"-->\n\n\|.*\n\|[-|]+\n\| 1 \| HNCA \| (0\.\d+)", page)
    _, others = made_again(page[: cell.start(1)] + "0.9999" + page[cell.end(1) : cell.end(1) + 1000])
    assert len(others) == 1
    assert others[0].startswith("benchmarks/run_tables.py benchmarks/results/figure1 ")


def test_every_table_of_numbers_is_marked():
    lines = ["", "", *PAGE.read_text().splitlines()]
    begun = [place for place, line in enumerate(lines) if line.startswith("|") and not lines[place - 1]]
    assert len(begun) > 15
    by_hand = {lines[place].split("|")[1].strip() for place in begun if not lines[place - 2].endswith("-->")}
    assert by_hand == {"claim", "what the paper says"}
