"""What the parser refuses, told in one line: the argument, what was given, what was expected."""

import re
from collections.abc import Callable

_KINDS = {"INT": "whole number", "FLOAT": "number"}
"""What the parser's names of kinds mean to a reader."""


def in_one_line(boxed: str) -> str:
    """Returns the parser's message without its box.

    Args:
        boxed: what the parser printed: a message, and below rules what it knows of the argument, all in a box.
    """
    lines = [line.strip("│ \n") for line in boxed.splitlines() if not line.startswith(("╭", "╰"))]
    rule = next((place for place, line in enumerate(lines) if line.startswith("─")), len(lines))
    message = " ".join(lines[:rule])
    told = f"{message}\n{' '.join(lines[rule:])}"
    for pattern, tell in _TELLING.items():
        if found := re.match(pattern, told, re.MULTILINE):
            return tell(found)
    if not message.startswith("Unrecognized"):
        return message
    options = [word for word in message.partition(": ")[2].split(", ") if word.startswith("-")]
    if options:  # and not what is given to them
        message = f"Unrecognized options: {', '.join(options)}"
    alike = dict.fromkeys(re.findall(r"^│ {5}(--[\w-]+)", boxed, re.MULTILINE))
    return f"{message}; like {' or '.join(alike)}?" if alike else f"{message}; --help tells what there is"


def _of_no_such_kind(found: re.Match[str]) -> str:
    argument, value = found[1], found[2].replace("', '", " ")
    if not argument.startswith("-"):
        return f"{value}: expected {_choices(argument)}"
    if re.fullmatch(r"[\w.+-]+(,[\w.+-]+)+", value):
        return f"{argument} {value}: expected blanks, no commas"
    return f"{argument} {value}: expected {_kind(argument, found.string)}"


def _kind(argument: str, told: str) -> str:
    """Returns what an option takes, by the name of its kind: `INT`, `{None}|FLOAT`, `[INT [INT ...]]`."""
    named = re.search(rf"{argument} (\S+)", told)
    for name, kind in _KINDS.items():
        if named and name in named[1]:
            return f"{kind}s" if named[1].startswith("[") else f"a {kind}"
    return "another value; --help tells which"


def _of_no_choice(found: re.Match[str]) -> str:
    given = f"{found[2]} {found[1]}" if found[2].startswith("-") else found[1]
    return f"{given}: expected one of {found[3].replace(chr(39), '')}"


def _without_value(found: re.Match[str]) -> str:
    return f"{found[1]}: expected {'a value' if found[2] in (None, '1') else f'{found[2]} values'}"


def _missing(found: re.Match[str]) -> str:
    return f"{found[1]}: expected {_choices(found[2])}"


def _choices(argument: str) -> str:
    """Returns what is expected in the place of an argument, of which choices are named: `1|3|4`, `{list,get}`."""
    choices = re.split("[|,]", argument.strip("{}"))
    return f"one of {', '.join(choices)}" if len(choices) > 1 else f"{argument}; --help tells what it is"


_TELLING: dict[str, Callable[[re.Match[str]], str]] = {
    r"Error parsing ([^:]+): (?:Could not find valid parse|no type matching).*? \['(.*?)'\]": _of_no_such_kind,
    r"Error parsing ([^:]+): .*?: '(.*)'$": _of_no_such_kind,
    r"invalid choice '(.*?)' for argument '(.*?)'\. +Expected one of \((.*?),?\)": _of_no_choice,
    r"Missing value for argument '(.*?)'\.(?: Expected (\d+) values)?": _without_value,
    r"Missing from hnca (\S+): (\S+)": _missing,
}
"""How each of the parser's messages is told, given what its pattern found."""
