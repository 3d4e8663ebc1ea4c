"""What `hnca report` does: reads the runs of a directory and writes the page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from hnca.experiments.data import titled
from hnca.experiments.experiment import Experiment
from hnca.experiments.figures.curves import paper_figure
from hnca.experiments.figures.tables import final_cells
from hnca.experiments.files import require_own, shown, write_atomically
from hnca.experiments.methods import is_known, place
from hnca.experiments.registry import EXPERIMENTS, experiment_class
from hnca.experiments.report.drawings import as_image, as_svg, page_style
from hnca.experiments.report.page import MARK, figure, note, page, pictures, section, table
from hnca.experiments.runs.failures import refused
from hnca.experiments.settings import ReportSettings, SettingsError
from hnca.experiments.store import (
    Configuration,
    Row,
    StoredRunError,
    complete,
    distinct,
    read_metrics,
    read_rows,
    stored_runs,
)

_VARIANCE = "log_gradient_variance"
_DIGITS_OF_VARIANCE = 3


def write_report(settings: ReportSettings, console: Console) -> None:
    """Writes the page and says where.

    Raises:
        SettingsError: if there are no runs, or one cannot be read, or the page cannot be written.
    """
    path = settings.directory / "report.html" if settings.out is None else settings.out
    if not settings.directory.is_dir():
        raise SettingsError(f"{settings.directory}: no such directory; expected what a command was given as --out")
    with refused(settings.directory):
        runs = _in_order(stored_runs(settings.directory))
        rows = _whole(read_rows(settings.directory, list(runs)))
    if not rows:
        is_run = (settings.directory / "config.json").exists()
        inside = f", {settings.directory.parent}, whose run it is" if is_run else ""
        raise SettingsError(f"{settings.directory}: holds no runs; expected what a command was given as --out{inside}")
    _refuse_namesakes(runs)
    content = report(str(settings.directory), runs, rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not settings.overwrite:
            require_own(path, MARK)
        # The name of a directory need not be text.
        write_atomically(path, [content.encode(errors="replace")])
    except OSError as error:
        raise SettingsError(f"--out {path}: cannot be written ({error.strerror or error})") from None
    console.print(f"{path}: {len(runs)} run{'s' if len(runs) > 1 else ''}", soft_wrap=True, highlight=False)
    measured = {path.parent for path in settings.directory.glob("*/metrics.jsonl")}
    if left_out := ", ".join(sorted(path.name for path in measured - runs.keys())):
        console.print(f"left out, having no config.json: {left_out}", soft_wrap=True, highlight=False)


def _refuse_namesakes(runs: Mapping[Path, Configuration]) -> None:
    """Raises a SettingsError for two runs that figures and tables would take for one."""
    found: dict[tuple[str, int, str], Path] = {}
    for directory, run in runs.items():
        first = found.setdefault((run["experiment"], run["layers"], run["estimator"]), directory)
        if first != directory:
            raise SettingsError(
                f"{directory}: of {run['estimator']} with as many layers as {first.name}, and figures would take both "
                "for one run; expected each below a directory of its own"
            )


def _whole(rows: Sequence[Row]) -> list[Row]:
    """Returns the rows of experiments and estimators that are known, with all that is shown of them."""
    whole = []
    for name in EXPERIMENTS:
        experiment = experiment_class(name)
        whole += complete(_of(rows, name), (*experiment.train_fields, *experiment.test_fields))
    return whole


def _of(rows: Sequence[Row], experiment: str) -> list[Row]:
    return [row for row in rows if row.experiment == experiment]


def _in_order(runs: Mapping[Path, Configuration]) -> dict[Path, Configuration]:
    """Returns the runs by depth, then as the estimators stand in their table, not as their names are spelled.

    Raises:
        StoredRunError: if one is of an estimator that is not known.
    """
    for directory, run in runs.items():
        missing = [name for name in ("name", "train_images") if name not in run["data"]]
        missing += [name for name in ("seeds", "batch_size") if name not in run["settings"]]
        if missing:
            raise StoredRunError(f"{directory}: its config.json does not say {', '.join(missing)}")
        if not is_known(run["estimator"]):
            raise StoredRunError(
                f"{directory}: was trained by {shown(run['estimator'])}, which this version does not know"
            )
    return dict(sorted(runs.items(), key=lambda run: (run[1]["layers"], place(run[1]["estimator"]), run[0])))


def report(directory: str, runs: Mapping[Path, Configuration], rows: Sequence[Row]) -> str:
    """Returns the page.

    Args:
        directory: its name, for the title.
        runs: the configurations by directory.
        rows: the metrics of all of them.
    """
    sections = []
    for name in distinct(rows, "experiment"):
        chosen, experiment = _of(rows, name), experiment_class(name)
        settings = {json.dumps(_about(run)) for run in runs.values() if run["experiment"] == name}
        sections += [_figures(experiment, chosen, runs), _final_values(experiment, chosen, alike=len(settings) == 1)]
    sections += [_pace(runs), _pictures(runs), _settings(runs)]
    return page(f"hnca: {directory}", [part for part in sections if part])


def _figures(experiment: type[Experiment], rows: Sequence[Row], runs: Mapping[Path, Configuration]) -> str:
    data = ", ".join(dict.fromkeys(_data(run) for run in runs.values()))
    panels = [experiment.panels[number] for number in experiment.figures(rows)]
    with page_style():
        drawn = [figure(as_svg(paper_figure(each, experiment.units, rows, data))) for each in panels]
    return section("Figures", *drawn)


def _final_values(experiment: type[Experiment], rows: Sequence[Row], *, alike: bool) -> str:
    digits = {**dict.fromkeys(experiment.headings, experiment.digits), _VARIANCE: _DIGITS_OF_VARIANCE}
    lines = [[layers, estimator, *cells] for layers, estimator, cells in final_cells(rows, digits)]
    headings = ["layers", "estimator", *{**experiment.headings, _VARIANCE: "ln variance of the gradient"}.values()]
    seeds = len(distinct(rows, "seed"))
    about = (
        "The last epoch of each run" if alike else "The last epoch of each run, and their settings differ (see below)"
    )
    said = "one seed" if seeds == 1 else f"mean over {seeds} seeds and 95% confidence interval (Student's t)"
    return section("Final values", note(f"{about}; {said}."), table(headings, lines))


def _pace(runs: Mapping[Path, Configuration]) -> str:
    lines = []
    for directory, run in runs.items():
        measured = _whole(read_metrics(directory))
        if not measured:
            continue
        done = max(row.epoch for row in measured)
        # The first epoch of every start has the compilation in it; the median does not mind.
        seconds = median(row.seconds for row in measured)
        updates = max(1, run["data"]["train_images"] // run["settings"]["batch_size"])
        each = f"{1e3 * seconds / updates:.2f}"
        state = "finished" if done >= run["epochs"] else "not finished"
        epochs, seeds = f"{done} of {run['epochs']}", run["settings"]["seeds"]
        lines.append([directory.name, state, epochs, seeds, f"{seconds:.1f}", each])
    headings = ["run", "state", "epochs", "seeds", "seconds an epoch", "ms an update, all seeds, testing included"]
    return section("Time", table(headings, lines))


def _pictures(runs: Mapping[Path, Configuration]) -> str:
    found, others = {}, []
    for directory in runs:
        for path in sorted(directory.glob("*.png")):
            name = f"{directory.name}: {path.stem}"
            image = as_image(path)
            if image is None:
                others.append(name)
            else:
                found[name] = image
    left_out = [note(f"Left out, being no regular files of this format: {', '.join(others)}.")] if others else []
    return section("Samples and reconstructions", pictures(found), *left_out) if found or others else ""


def _settings(runs: Mapping[Path, Configuration]) -> str:
    """Settings and machines, each set of them once, with the runs that have it."""
    groups: dict[str, list[str]] = {}
    for directory, run in runs.items():
        machine = _flat(run.get("environment", {}))
        described = json.dumps({**_about(run), **machine})
        groups.setdefault(described, []).append(directory.name)
    parts = []
    for described, names in groups.items():
        lines = [[name, _shown(value)] for name, value in json.loads(described).items()]
        parts += [note(", ".join(names)), table(["setting", "value"], lines, numbers=False)]
    return section("Settings and machine", *parts)


def _about(run: Configuration) -> dict[str, Any]:
    started = {"start_from": "{run}, epochs {epochs}".format(**run["start"])} if "start" in run else {}
    return {"experiment": run["experiment"], "dataset": _data(run), **run["settings"], **started}


def _data(run: Configuration) -> str:
    data = run["data"]
    return titled(data["name"], data["train_images"], data.get("validation_images", 0))


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in environment.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    return flat


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
