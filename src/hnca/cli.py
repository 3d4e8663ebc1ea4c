"""The command line. Parses first and imports JAX only when there is something to train."""

import contextlib
import functools
import io
import os
import re
import shutil
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, NoReturn

import tyro
from rich.console import Console

from hnca.data import DataError
from hnca.experiments.failures import RunFailure
from hnca.experiments.settings import (
    BanditSettings,
    BenchSettings,
    CompareSettings,
    DataSetSettings,
    ExportSettings,
    FigureSettings,
    InfoSettings,
    ReportSettings,
    SettingsError,
    VAESettings,
)

Training = BanditSettings | VAESettings
Looking = ReportSettings | ExportSettings | DataSetSettings | BenchSettings | InfoSettings
Settings = Training | CompareSettings | FigureSettings | Looking

COMMANDS: Mapping[str, Callable[..., Any]] = {
    "bandit": BanditSettings,
    "vae": VAESettings,
    "compare": CompareSettings,
    "figure": FigureSettings,
    "report": ReportSettings,
    "export": ExportSettings,
    "data": DataSetSettings,
    "bench": BenchSettings,
    "info": InfoSettings,
}

FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130
TERMINATED = 143


class _Terminated(KeyboardInterrupt):
    """A scheduler, or another, has asked the process to end."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command given on the command line; every end that is not the right one is told in one line.

    The exit code is 0 if all went well, 2 for a user's mistake, 1 if a run could not go on, 130 after Ctrl-C and 143
    after SIGTERM.
    """
    settings = None
    try:
        with _termination_is_an_interrupt():
            settings = _parse(sys.argv[1:] if arguments is None else arguments)
            _run(settings)
    except (SettingsError, DataError) as error:
        _end(str(error), WRONG_USE)
    except RunFailure as error:
        _end(str(error), FAILED)
    except _Terminated:
        _end(f"told to end{_kept(settings)}", TERMINATED)
    except KeyboardInterrupt:
        _end(f"interrupted{_kept(settings)}", INTERRUPTED)


def command() -> None:
    """The console script: `main`, but after an interruption nothing waits for what is still being computed."""
    try:
        main()
    except SystemExit as end:
        if end.code not in (INTERRUPTED, TERMINATED):
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)


def _kept(settings: Settings | None) -> str:
    """Returns what there is to say of a command that was stopped."""
    if isinstance(settings, Training | FigureSettings):
        return "; the epochs finished so far are kept, and the same command goes on from there"
    if isinstance(settings, DataSetSettings):
        return "; what has come so far is kept, and the same command goes on from there"
    return ""


def _end(message: str, code: int) -> NoReturn:
    print(f"hnca: {message}", file=sys.stderr)
    raise SystemExit(code) from None


@contextlib.contextmanager
def _termination_is_an_interrupt() -> Iterator[None]:
    """Makes SIGTERM end the process as Ctrl-C does: in good order."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _Terminated

    # Python lets only the main thread say what a signal does.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parse(arguments: Sequence[str]) -> Settings:
    """Returns the settings; --help prints and exits."""
    boxed, shown = io.StringIO(), _Shown()
    try:
        with contextlib.redirect_stderr(boxed), contextlib.redirect_stdout(shown):
            return tyro.extras.subcommand_cli_from_dict(
                dict(COMMANDS),
                prog="hnca",
                description="Train networks of discrete stochastic units with unbiased, low-variance gradients.",
                args=list(arguments),
                config=(tyro.conf.OmitSubcommandPrefixes,),
            )
    except SystemExit as error:
        if not error.code:
            print(shown.folded(), end="")
            raise
        raise SettingsError(_first_paragraph(boxed.getvalue())) from None


class _Shown(io.StringIO):
    """Takes help, which has boxes as wide as the terminal, and above them lines of any length."""

    def __init__(self):
        super().__init__()
        self._stdout = sys.stdout

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Makes the parser draw its boxes everywhere, since an error is taken out of one."""
        return "utf-8"

    def isatty(self) -> bool:
        """Returns whether it will be shown on a terminal, and may be coloured."""
        return self._stdout.isatty()

    def folded(self) -> str:
        """Returns the help with the long lines broken between words, and without boxes where they cannot be shown."""
        width = shutil.get_terminal_size().columns
        fold = functools.partial(textwrap.fill, width=width, break_long_words=False, break_on_hyphens=False)
        lines = self.getvalue().splitlines()
        text = "".join((fold(line) if "│" not in line and len(line) > width else line) + "\n" for line in lines)
        shows_boxes = (self._stdout.encoding or "").lower().startswith("utf")
        return text if shows_boxes else text.translate(str.maketrans("╭╮╰╯│─•", "++++|-*"))


def _first_paragraph(boxed: str) -> str:
    """Returns the message of an error box as one line: what stands between its top edge and its first rule."""
    lines = [line.strip("│ \n") for line in boxed.splitlines() if not line.startswith(("╭", "╰"))]
    rule = next((place for place, line in enumerate(lines) if line.startswith("─")), len(lines))
    # Of a setting in a group the parser names the class that it has made for it.
    return re.sub(r"^Error parsing [\w.][\w.-]*: ", "", " ".join(lines[:rule]))


def _run(settings: Settings) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that has no sign for plus or minus shows another, and the run goes on.
        sys.stdout.reconfigure(errors="replace")
    # A file or a pipe has no width of its own, and 80 columns would break the table's lines.
    console = Console(width=None if sys.stdout.isatty() else 120)
    # Imported here and not above: the import of JAX would make --help and every mistake wait.
    if isinstance(settings, BenchSettings):
        from hnca.experiments.benchmark.runs import run_benchmark

        run_benchmark(settings, console)
    elif isinstance(settings, InfoSettings):
        from hnca.experiments.information import print_information

        print_information(console)
    elif isinstance(settings, CompareSettings):
        from hnca.experiments.comparison.running import compare

        compare(settings, console)
    elif isinstance(settings, FigureSettings):
        from hnca.experiments.paper import run_figure

        console.quiet = settings.keeping.quiet
        run_figure(settings, console)
    elif isinstance(settings, ReportSettings):
        from hnca.experiments.report.writing import write_report

        write_report(settings, console)
    elif isinstance(settings, DataSetSettings):
        from hnca.experiments.data_sets import look_after_data

        look_after_data(settings, console)
    elif isinstance(settings, ExportSettings):
        from hnca.experiments.trained.command import export_run

        export_run(settings, console)
    else:
        from hnca.experiments.runs import run

        console.quiet = settings.keeping.quiet
        run(settings, console)


if __name__ == "__main__":
    command()
