"""`make faults`: the outcome of the fault table into docs/reliability.md, promise by promise."""

import re
import sys
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from xml.etree import ElementTree

from ..pages import write
from .rows import MECHANISMS, ROWS
from .table import BOTH, Fault

TITLES = {
    1: "Deadline",
    2: "A write is delivered at most once",
    3: "Reads are tried again",
    4: "Retry-After",
    5: "Redirects",
    6: "Statuses outside 2xx",
    7: "Answers are judged strictly",
    8: "Bounded memory",
    9: "One family of errors",
    10: "The key stays secret",
    11: "Key and base URL are checked first",
    12: "Environment and TLS",
    13: "Connections",
    14: "Arguments are checked before sending",
    15: "Nothing is lost silently",
}

Case = tuple[str, str, str]
"""Row, operation, kind of client."""
ALL: set[Case] = {
    (str(row), operation, kind)
    for row in ROWS
    for operation in row.operations
    for kind in ("sync", "async")
}


def section(kept: Collection[Case]) -> str:
    """The generated part of the page."""
    counts = Counter(row.promise for row in ROWS)
    total = f"{len(ROWS)} faults, {len(MECHANISMS)} mechanisms"
    parts = [f"## The fault table: {total}\n"]
    for promise, title in TITLES.items():
        parts.append(f"### {promise}. {title}: {counts[promise]} faults\n")
        parts.append("| fault | saved by | list | add |\n|---|---|---|---|")
        parts += [_line(row, kept) for row in ROWS if row.promise == promise]
        parts.append("")
    parts.append("### Mechanisms\n\n| mechanism | where | what it does |\n|---|---|---|")
    parts += [f"| {name} | `{each.place}` | {each.does} |" for name, each in MECHANISMS.items()]
    return "\n".join(parts) + "\n"


def _line(row: Fault, kept: Collection[Case]) -> str:
    cells = [_cell(row, operation, kept) for operation in BOTH]
    return f"| {row.name} | {row.mechanism} | {' | '.join(cells)} |"


def _cell(row: Fault, operation: str, kept: Collection[Case]) -> str:
    if operation not in row.operations:
        return "-"
    broken = [kind for kind in ("sync", "async") if (str(row), operation, kind) not in kept]
    return f"**broken** ({', '.join(broken)})" if broken else "kept"


def kept_of(report: Path) -> set[Case]:
    """The tests that passed, from pytest's JUnit report."""
    cases = ElementTree.parse(report).getroot().iter("testcase")
    passed = [
        case.get("name", "")
        for case in cases
        if not {"failure", "error", "skipped"} & {each.tag for each in case}
    ]
    found = [re.fullmatch(r"test_the_promise_is_kept\[(\w+)-(.*)-(list|add)\]", x) for x in passed]
    return {(each[2], each[3], each[1]) for each in found if each}


if __name__ == "__main__":
    kept = kept_of(Path(sys.argv[1]))
    print(f"{len(ROWS)} faults, {len(ALL)} tests of which {len(ALL - kept)} did not pass")
    write("faults", section(kept))
    sys.exit(kept != ALL)
