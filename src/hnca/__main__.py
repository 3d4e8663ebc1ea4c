"""The console script: it can be interrupted in good order while it is still being imported, and then ends at once."""

import sys

from hnca.experiments.commands.interruptions import at_once, interruptible, postponed
from hnca.experiments.commands.partners import follow_parent, has_partners, is_partner, run_as_partner

WRONG_USE = 2


def command() -> None:
    """Runs the command given on the command line; one line says so if the packages that it needs are not there."""
    if is_partner():
        follow_parent()
    elif has_partners(sys.argv[1:]):
        raise SystemExit(run_as_partner())
    with at_once(failures=is_partner()), interruptible():
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
