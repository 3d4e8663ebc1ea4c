"""Tables and a picture of what `benchmarks/recipes.py` wrote: means over seeds.

python benchmarks/recipes_report.py benchmarks/results/recipes/*.jsonl --picture docs/pictures/recipes.png
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev

from matplotlib.figure import Figure

EPOCHS = (30, 80, 150, 167)
"""Of the table's columns: after 18,000, 48,000, 90,000 and 100,200 updates of 100 images."""
SHOWN = {
    ("double-cv, decayed", "1e-3, cosine"): "Double CV, 1e-3, cosine",
    ("reinmax, decayed", "1e-3, cosine"): "ReinMax (biased), 1e-3, cosine",
    ("hnca-4", "1e-3, cosine"): "HNCA, 4 counterfactuals, 1e-3, cosine",
    ("disarm, decayed", "1e-3, cosine"): "DisARM, 1e-3, cosine",
    ("hnca-4", "1e-3"): "HNCA, 4 counterfactuals, 1e-3",
    ("hnca-4, free bits 0.05", "1e-3"): "the same, free bits 0.05",
    ("straight-through", "1e-3"): "straight-through (biased), 1e-3",
}


def read(paths: Iterable[Path]) -> dict[tuple[str, str], dict[int, list[dict]]]:
    """Returns the rows of all seeds by program and recipe, then by epoch."""
    found: dict[tuple[str, str], dict[int, list[dict]]] = defaultdict(lambda: defaultdict(list))
    for path in paths:
        for row in map(json.loads, path.read_text().splitlines()):
            found[row["program"], row["recipe"]][row["epoch"]].append(row)
    return found


def table(found: dict[tuple[str, str], dict[int, list[dict]]]) -> str:
    """Returns Markdown: train ELBO and units in use after some epochs, then the last epoch's test ELBO and KL."""
    columns = [f"ELBO, units at {epoch}" for epoch in EPOCHS]
    lines = [
        ["estimator", "recipe", *columns, "seeds' deviation", "test ELBO", "KL"],
        ["---"] * (len(EPOCHS) + 5),
    ]
    for (program, recipe), by_epoch in found.items():
        cells = []
        for epoch in EPOCHS:
            rows = by_epoch.get(epoch, [])
            units = f", {mean(row['test_active_units'] for row in rows):.0f}" if rows else ""
            cells.append(f"{mean(row['train_elbo'] for row in rows):.1f}{units}" if rows else "")
        last = by_epoch[max(by_epoch)]
        deviation, test, kl = (
            stdev(row["train_elbo"] for row in last),
            mean(row["test_elbo"] for row in last),
            mean(row["train_kl"] for row in last),
        )
        lines.append([program, recipe, *cells, f"{deviation:.2f}", f"{test:.1f}", f"{kl:.1f}"])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def draw(found: dict[tuple[str, str], dict[int, list[dict]]], path: Path) -> None:
    """Draws train ELBO and units in use by updates."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for key, label in SHOWN.items():
        epochs = sorted(found[key])
        updates = [600 * epoch for epoch in epochs]
        left.plot(updates, [mean(row["train_elbo"] for row in found[key][epoch]) for epoch in epochs], label=label)
        units = [mean(row["test_active_units"] for row in found[key][epoch]) for epoch in epochs]
        right.plot(updates, units, label=label)
    left.set(ylim=(-125, -102), xlabel="updates", ylabel="train ELBO (nats)")
    right.set(ylim=(0, 205), xlabel="updates", ylabel="units in use, of 200")
    left.legend(fontsize=7)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    found = read(chosen.files)
    print(table(found))
    if chosen.picture is not None:
        draw(found, chosen.picture)


if __name__ == "__main__":
    main()
