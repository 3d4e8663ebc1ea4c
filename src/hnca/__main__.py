"""The console script: it can be interrupted in good order while it is still being imported, and then ends at once."""

import sys

from hnca.experiments.commands.interruptions import at_once, interruptible, postponed

WRONG_USE = 2


def command() -> None:
    """Runs the command given on the command line; one line says so if the packages that it needs are not there."""
    with at_once(), interruptible():
        try:
            with postponed():
                from hnca.experiments.commands.main import main
            main()
        except ModuleNotFoundError as error:
            if (error.name or "hnca").partition(".")[0] == "hnca":
                raise
            print(f"hnca: {error.name} is not installed; pip install 'hnca[experiments]'", file=sys.stderr)
            raise SystemExit(WRONG_USE) from None


if __name__ == "__main__":
    command()
