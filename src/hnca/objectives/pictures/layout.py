"""Where things stand in a picture of a graph: in rows, each below all that it reads."""

from collections.abc import Mapping, Sequence

Place = tuple[float, float]

ROW = 88.0
GAP = 18.0
_SWEEPS = 4


def layout(
    reads: Mapping[str, Sequence[str]], widths: Mapping[str, float]
) -> tuple[dict[str, Place], list[list[Place]]]:
    """Returns the middle of every node, and every edge as the points that it runs through.

    An edge that passes rows has a place of its own in each of them, so that it does not run through what stands there.

    Args:
        reads: for every node those that it reads, which come before it.
        widths: of the nodes.
    """
    ranks: dict[str, int] = {}
    for node, sources in reads.items():
        ranks[node] = max((ranks[source] + 1 for source in sources), default=0)
    rows: list[list[str]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    sizes, chains = dict(widths), []
    above: dict[str, list[str]] = {}
    for node, sources in reads.items():
        rows[ranks[node]].append(node)
        above[node] = []
        for source in sources:
            chain = [source]
            for rank in range(ranks[source] + 1, ranks[node]):
                bend = f"{source}\0{node}\0{rank}"
                rows[rank].append(bend)
                sizes[bend], above[bend] = 4.0, [chain[-1]]
                chain.append(bend)
            above[node].append(chain[-1])
            chains.append([*chain, node])
    places = _placed(rows, sizes, above)
    return {node: places[node] for node in reads}, [[places[point] for point in chain] for chain in chains]


def _placed(
    rows: Sequence[list[str]], sizes: Mapping[str, float], above: Mapping[str, Sequence[str]]
) -> dict[str, Place]:
    below: dict[str, list[str]] = {}
    for node, sources in above.items():
        for source in sources:
            below.setdefault(source, []).append(node)
    across: dict[str, float] = {}
    for row in rows:
        across |= _spread(row, sizes)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            near = above if down else below
            wish = {node: _mean([across[n] for n in near.get(node, ())], across[node]) for node in row}
            row.sort(key=lambda node: wish[node])
            across |= _spread(row, sizes)
    return {node: (across[node], rank * ROW) for rank, row in enumerate(rows) for node in row}


def _spread(row: Sequence[str], sizes: Mapping[str, float]) -> dict[str, float]:
    """Returns where the nodes of a row stand, side by side around 0."""
    left = -(sum(sizes[node] for node in row) + GAP * (len(row) - 1)) / 2
    places = {}
    for node in row:
        places[node] = left + sizes[node] / 2
        left += sizes[node] + GAP
    return places


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
