"""The command line. Parses first and imports JAX only when there is something to train."""

import contextlib
import functools
import importlib.metadata
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

import tyro
from rich.console import Console

from hnca.experiments.commands.interruptions import interruptible, postponed
from hnca.experiments.commands.wrong_arguments import in_one_line
from hnca.experiments.data import DataError
from hnca.experiments.registry import EXPERIMENTS, settings_class
from hnca.experiments.runs.failures import RunFailure
from hnca.experiments.settings import (
    BenchSettings,
    CompareSettings,
    DataSetSettings,
    ExportSettings,
    FigureSettings,
    InfoSettings,
    ReportSettings,
    SettingsError,
    TrainingSettings,
)

Looking = ReportSettings | ExportSettings | DataSetSettings | BenchSettings | InfoSettings
Settings = TrainingSettings | CompareSettings | FigureSettings | Looking

_OTHERS: Mapping[str, tuple[type, str]] = {
    "compare": (CompareSettings, "compare.compare"),
    "figure": (FigureSettings, "figure.run_figure"),
    "report": (ReportSettings, "report.write_report"),
    "export": (ExportSettings, "export.export_run"),
    "data": (DataSetSettings, "data.look_after_data"),
    "bench": (BenchSettings, "bench.run_benchmark"),
    "info": (InfoSettings, "info.print_information"),
}
"""The commands that are no experiments: their settings, and the module beside this one and function that do them."""

_ABOUT = (
    "Train networks of discrete stochastic units with unbiased, low-variance gradients. hnca COMMAND --help tells a "
    "command's options, which stand after it; hnca --version the version."
)
FAILED = 1
WRONG_USE = 2


def commands() -> dict[str, Callable[..., Any]]:
    """Returns the settings of every command by its name: the experiments first."""
    experiments: dict[str, Callable[..., Any]] = {name: settings_class(name) for name in EXPERIMENTS}
    return experiments | {name: kind for name, (kind, _) in _OTHERS.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command given on the command line; every end that is not the right one is told in one line.

    The exit code is 0 if all went well, 2 for a user's mistake, 1 if a run could not go on, 130 after Ctrl-C, 143
    after SIGTERM and 129 after SIGHUP.
    """
    if sys.stdout is None:  # closed by whoever started the process
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    settings = None
    try:
        with interruptible(lambda: _kept(settings)):
            settings = _parse(sys.argv[1:] if arguments is None else arguments)
            _run(settings)
    except (SettingsError, DataError) as error:
        _end(str(error), WRONG_USE)
    except RunFailure as error:
        _end(str(error), FAILED)
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has seen enough; Python would complain of it again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if kept := _kept(settings):
            _end(f"stopped, as nobody reads what it prints{kept}", FAILED)
        raise SystemExit(FAILED) from None
    except OSError as error:
        _end(f"{error.filename or 'the output'}: {error.strerror or error}", FAILED)


def _kept(settings: Settings | None) -> str:
    """Returns what there is to say of a command that was stopped."""
    if isinstance(settings, TrainingSettings | FigureSettings):
        return "; the epochs finished so far are kept, and the same command goes on from there"
    if isinstance(settings, DataSetSettings):
        return "; what has come so far is kept, and the same command goes on from there"
    return ""


def _end(message: str, code: int) -> NoReturn:
    print(f"hnca: {message}", file=sys.stderr)
    raise SystemExit(code) from None


def _parse(arguments: Sequence[str]) -> Settings:
    """Returns the settings; --help and --version print and exit."""
    name = arguments[0] if arguments else "--help"
    if name == "--version":
        print(f"hnca {importlib.metadata.version('hnca')}")
        raise SystemExit
    if name in ("--help", "-h"):
        return _parsed(tyro.extras.subcommand_cli_from_dict, commands(), "hnca", ["--help"])
    if name not in commands():
        told = "no command, after which options stand" if name.startswith("-") else "no such command"
        raise SettingsError(f"{name}: {told}; expected {', '.join(commands())}, --help or --version")
    settings = _parsed(tyro.cli, commands()[name], f"hnca {name}", arguments[1:])
    if isinstance(settings, TrainingSettings | CompareSettings):
        settings.refuse_overridden(arguments[1:])
    if isinstance(settings, CompareSettings):
        settings.require_run()
    if isinstance(settings, FigureSettings):
        settings.refuse_number_in_list(arguments[1:])
    return settings


def _parsed(parser: Callable[..., Settings], kind: Any, program: str, arguments: Sequence[str]) -> Settings:
    """Returns what the parser makes of the arguments. What settings themselves refuse passes through it as it is."""
    boxed, shown = io.StringIO(), _Shown()
    about = _ABOUT if program == "hnca" else None
    try:
        with contextlib.redirect_stderr(boxed), contextlib.redirect_stdout(shown):
            options = (tyro.conf.OmitSubcommandPrefixes,)
            return parser(kind, prog=program, description=about, args=list(arguments), config=options)
    except SystemExit as error:
        if not error.code:
            print(shown.folded(), end="")
            raise
        raise SettingsError(in_one_line(boxed.getvalue())) from None


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


class _Console(Console):
    """Prints; once nobody reads any more, whoever is at work is told, and can keep what it has."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _run(settings: Settings) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that has no sign for plus or minus shows another, and the run goes on.
        sys.stdout.reconfigure(errors="replace")
    # A file or a pipe has no width of its own, and 80 columns would break the table's lines.
    # What stands in brackets in the name of a file is no markup.
    console = _Console(width=None if sys.stdout.isatty() else 120, markup=False, emoji=False)
    if isinstance(settings, FigureSettings | TrainingSettings):
        console.quiet = settings.running.quiet
    with postponed():
        action = _action(settings)
    action(settings, console)


def _action(settings: Settings) -> Callable[[Any, Console], None]:
    """Imports what the command is done by, and returns it."""
    # Imported here and not above: the import of JAX would make --help and every mistake wait.
    if isinstance(settings, TrainingSettings):
        from hnca.experiments.runs.running import run

        return run
    module, name = next(path for kind, path in _OTHERS.values() if isinstance(settings, kind)).split(".")
    return getattr(import_module(f"hnca.experiments.commands.{module}"), name)
