"""Names for the draws of a program, each its own."""


class Names:
    """What has been named so far, in a program and the loops in it."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def new(self, kind: str, wanted: str | None) -> str:
        """Returns the name wanted, or the kind with a number; with the next number where that is taken already."""
        stem = wanted or kind
        name, count = wanted or f"{kind}_0", self._counts.get(stem, 0)
        while name in self._taken:
            count += 1
            name = f"{stem}_{count}"
        self._counts[stem] = count
        self._taken.add(name)
        return name
