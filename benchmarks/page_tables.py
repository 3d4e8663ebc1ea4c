"""Makes the tables of a page again, each by the command in the comment above it, or only tells which are others.

python benchmarks/page_tables.py docs/results.md            # from the root of the repository
python benchmarks/page_tables.py docs/results.md --check    # changes nothing; exit code 1 if one is another

Such a comment is `<!-- benchmarks/run_tables.py DIRECTORY --fields train_elbo -->`, on one line or more.
"""

import argparse
import re
import shlex
import sys
from importlib import import_module
from pathlib import Path

MARKED = re.compile(r"<!-- benchmarks/(\w+)\.py\s((?:(?!-->).)*)-->\n\n((?:\|[^\n]*\n)+)", re.DOTALL)


def made_again(page):
    """Returns the text of a page with its marked tables made anew, and the commands of those that were others."""
    others = []

    def replaced(found):
        script = import_module(found[1])
        table = script.made(script.parser().parse_args(shlex.split(found[2]))) + "\n"
        if table != found[3]:
            others.append(f"benchmarks/{found[1]}.py {' '.join(found[2].split())}")
        return found[0].removesuffix(found[3]) + table

    return MARKED.sub(replaced, page), others


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="+")
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    found = {page: made_again(page.read_text()) for page in arguments.pages}
    for page, (text, others) in found.items():
        if not arguments.check:
            page.write_text(text)
        for command in others:
            print(f"{page}: {command}")
    if arguments.check and any(others for _, others in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
