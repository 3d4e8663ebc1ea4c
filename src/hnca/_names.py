"""What is checked of the names of layers and inputs when something that reads them is built."""

from collections.abc import Sequence


def checked_name(owner: str, argument: str, name: object) -> str:
    """Returns the name; what is no text is a ValueError."""
    if not isinstance(name, str):
        raise ValueError(f"{owner}: {argument}={name!r}; expected a name.")
    return name


def layer_names(owner: str, argument: str, names: str | Sequence[str]) -> tuple[str, ...]:
    """Returns one name or several as a tuple; none, one twice, or what is no name is a ValueError."""
    found = checked_names(owner, argument, names)
    if not found:
        raise ValueError(f"{owner}: {argument}=(); expected at least one layer.")
    return found


def checked_names(owner: str, argument: str, names: str | Sequence[str]) -> tuple[str, ...]:
    """As `layer_names`, but there may be none."""
    try:
        found = (names,) if isinstance(names, str) else tuple(names)
    except TypeError:
        found = (names,)  # type: ignore[assignment]
    if not all(isinstance(name, str) for name in found):
        raise ValueError(f"{owner}: {argument}={names!r}; expected a name or several.")
    if len(set(found)) != len(found):
        raise ValueError(f"{owner}: {argument}={names!r}; expected every name once.")
    return found
