"""The console script: it can be interrupted in good order while it is still being imported, and then ends at once."""

from hnca.interruptions import at_once, interruptible, postponed


def command() -> None:
    """Runs the command given on the command line."""
    with at_once(), interruptible():
        with postponed():
            from hnca.cli import main
        main()


if __name__ == "__main__":
    command()
