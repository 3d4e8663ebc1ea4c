"""The command line. Parses first and imports JAX only when there is something to train."""

import contextlib
import io
import re
import sys
from collections.abc import Sequence

import tyro
from rich.console import Console

from hnca.data import DataError
from hnca.experiments.settings import BanditSettings, BenchSettings, InfoSettings, SettingsError, VAESettings

Settings = BanditSettings | VAESettings | BenchSettings | InfoSettings

INTERRUPTED = 130
WRONG_USE = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command given on the command line; a user's mistake ends in one line and exit code 2."""
    try:
        _run(_parse(sys.argv[1:] if arguments is None else arguments))
    except (SettingsError, DataError) as error:
        print(f"hnca: {error}", file=sys.stderr)
        raise SystemExit(WRONG_USE) from None
    except KeyboardInterrupt:
        print("hnca: interrupted; the epochs measured so far are written", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def _parse(arguments: Sequence[str]) -> Settings:
    """Returns the settings; --help prints and exits."""
    boxed = io.StringIO()
    try:
        with contextlib.redirect_stderr(boxed):
            return tyro.extras.subcommand_cli_from_dict(
                {"bandit": BanditSettings, "vae": VAESettings, "bench": BenchSettings, "info": InfoSettings},
                prog="hnca",
                description="Train networks of discrete stochastic units with unbiased, low-variance gradients.",
                args=list(arguments),
                config=(tyro.conf.OmitSubcommandPrefixes,),
            )
    except SystemExit as error:
        if not error.code:
            raise
        raise SettingsError(_first_paragraph(boxed.getvalue())) from None


def _first_paragraph(boxed: str) -> str:
    """Returns the message of an error box as one line: what stands between its top edge and its first rule."""
    lines = [line.strip("│ \n") for line in boxed.splitlines() if not line.startswith(("╭", "╰"))]
    rule = next((place for place, line in enumerate(lines) if line.startswith("─")), len(lines))
    return re.sub(r"^Error parsing \w+Settings: ", "", " ".join(lines[:rule]))


def _run(settings: Settings) -> None:
    # A file or a pipe has no width of its own, and 80 columns would break the table's lines.
    console = Console(width=None if sys.stdout.isatty() else 120)
    # Imported here and not above: the import of JAX would make --help and every mistake wait.
    if isinstance(settings, BenchSettings):
        from hnca.experiments.benchmark.runs import run_benchmark

        run_benchmark(settings, console)
    elif isinstance(settings, InfoSettings):
        from hnca.experiments.information import print_information

        print_information(console)
    else:
        from hnca.experiments.runs import run

        run(settings, console)


if __name__ == "__main__":
    main()
