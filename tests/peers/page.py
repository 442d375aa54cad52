"""What `make peers` has found, as tables."""

import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from .. import pages
from ..faults.page import TITLES
from ..faults.rows import ROWS
from ..faults.table import Fault
from .apart import APART, SHARED
from .guests import NAMES

PAGE = pages.DOCS / "peers.md"
OTHERS = [peer for peer in NAMES if peer != "ours"]

Found = Mapping[tuple[str, str, str], str]
"""(peer, row, operation) -> how its promise is broken; "" if it is kept."""


def write(found: Found, versions: Mapping[str, Mapping[str, str]]) -> str:
    """Puts it into both pages; returns what to print."""
    sums = totals(found)
    pages.write("peers", section(found, versions), PAGE)
    pages.write("peers", sums)
    return sums


def section(found: Found, versions: Mapping[str, Mapping[str, str]]) -> str:
    """The generated part of docs/peers.md."""
    used = {f"{name} {number}" for peer in OTHERS for name, number in versions[peer].items()}
    system = f"Python {platform.python_version()}, {platform.system()}"
    parts = [
        f"{datetime.now(UTC):%Y-%m-%d}, {system}: {', '.join(sorted(used))}.\n",
        "## Totals\n",
        totals(found),
        "## Where they do as well\n",
        *as_well(found),
        "## Fault by fault\n",
        *tables(found),
        "## What does not apply\n",
        *apart(),
    ]
    return "\n".join(parts)


def promises() -> Iterable[tuple[str, list[Fault]]]:
    """Number and title of each, with its rows, where it has any."""
    for promise, title in TITLES.items():
        if rows := [row for row in SHARED if row.promise == promise]:
            yield f"{promise}. {title}", rows


def totals(found: Found) -> str:
    """How many cases each keeps, promise by promise."""
    lines = [line(["promise", "cases", *NAMES.values()]), line(["---"] * (len(NAMES) + 2))]
    lines += [line([promise, *kept(rows, found)]) for promise, rows in promises()]
    lines.append(line(["**all**", *kept(SHARED, found)]))
    return "\n".join(lines) + "\n"


def kept(rows: list[Fault], found: Found) -> list[str]:
    cases = [(str(row), operation) for row in rows for operation in row.operations]
    counts = (sum(not found[peer, *case] for case in cases) for peer in NAMES)
    return [*map(str, (len(cases), *counts))]


def as_well(found: Found) -> Iterable[str]:
    for promise, rows in promises():
        yield f"**{promise}**, {len(rows)} faults\n"
        yield from agreed(rows, found)


def agreed(rows: list[Fault], found: Found) -> Iterable[str]:
    """What all of them keep, or all but one."""
    breaks = {row.name: [peer for peer in OTHERS if cell(peer, row, found)] for row in rows}
    for those in ([], *([peer] for peer in OTHERS)):
        if names := [name for name, broken in breaks.items() if broken == those]:
            who = f"all but {NAMES[those[0]]}" if those else "all four"
            yield f"- {who} keep {len(names)}: {'; '.join(names)}"
    if all(len(broken) > 1 for broken in breaks.values()):
        yield "- none"
    yield ""


def tables(found: Found) -> Iterable[str]:
    for promise, rows in promises():
        yield f"### {promise}\n"
        yield line(["fault", *(NAMES[peer] for peer in OTHERS)])
        yield line(["---"] * (len(OTHERS) + 1))
        for row in rows:
            yield line([row.name, *(cell(peer, row, found) or "kept" for peer in OTHERS)])
        yield ""


def cell(peer: str, row: Fault, found: Found) -> str:
    faults = {each: found[peer, str(row), each] for each in row.operations}
    told = {*faults.values()}
    if len(told) == 1:
        return told.pop()
    return ", ".join(f"{each}: {fault or 'kept'}" for each, fault in faults.items())


def apart() -> Iterable[str]:
    yield (
        f"Of the {len(ROWS)} faults of [the table](reliability.md) "
        f"{len(ROWS) - len(SHARED)} say nothing about other clients:\n"
    )
    for reason, names in APART.items():
        yield f"- {len(names)}: {reason}: {'; '.join(names)}"
    yield ""


def line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
