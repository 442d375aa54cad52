"""The figures of a soak, what is wrong with them, and their tables."""

import os
import platform
from collections import Counter
from collections.abc import Iterator, Sequence

import attrs

from .calls import KINDS, WORKERS, Finding
from .crew import TASKS, THREADS
from .ledger import Record
from .server import FAULTS

MORE_MEMORY, MORE_BLOCKS = 16384, 5000
"""KiB, and blocks, that the last tenth may have more than the third."""
WRONGS = {
    "lost": "done, and not in the database; or a call without an end",
    "crossed": "an answer that belongs to another call",
    "doubled": "sent or stored twice, or there though it was reported as not done",
    "late": "a call that ended more than five seconds after its time",
    "leaked": "a socket, a file, a thread, a task, or a connection in use that nobody uses",
    "grown": "over 5,000 blocks, or 16 MiB, more at the end than after the third tenth",
    "stray": "an error of another family, a timeout without reason, a warning",
    "missing": "a kind of call, caller, fault or outcome that did not occur, as in few calls",
}
LATEST = 5.0
"""Seconds: what a busy machine may take to notice, and more."""
OUTCOMES = ("a result", "cancelled", "APIConnectionError", "APITimeoutError")
MOST_SOCKETS = 4 * (THREADS + 2 * TASKS)


@attrs.define
class Figures:
    """What came of a soak."""

    calls: Counter[tuple[str, str]] = attrs.Factory(Counter)
    """Kind and worker -> how often."""
    outcomes: Counter[str] = attrs.Factory(Counter)
    claims: Counter[str] = attrs.Factory(Counter)
    met: Counter[str] = attrs.Factory(Counter)
    memory: list[tuple[int, int]] = attrs.Factory(list)
    """After each tenth: KiB, blocks."""
    latest: float = 0.0
    sockets: int = 0
    seconds: float = 0.0

    def add(self, records: Sequence[Record], met: Counter[str]) -> None:
        """What came of one round."""
        self.met += met
        for each in records:
            self.calls[each.call.kind, each.call.worker] += 1
            self.outcomes[each.outcome] += 1
            self.claims.update(each.claims.values())
            self.latest = max(self.latest, each.late)

    def faults(self) -> Iterator[Finding]:
        """What is wrong with the figures themselves."""
        (third, blocks), (last, more) = self.memory[2], self.memory[-1]
        if last > third + MORE_MEMORY or more > blocks + MORE_BLOCKS:
            yield "grown", f"from {third} to {last} KiB, from {blocks} to {more} blocks"
        if self.latest > LATEST:
            yield "late", f"{self.latest:.1f} seconds after its time"
        if self.sockets > MOST_SOCKETS:
            yield "leaked", f"{self.sockets} sockets at once, at most {MOST_SOCKETS} are needed"
        kinds, workers = map(set, zip(*self.calls, strict=True))
        for what in {*KINDS, *WORKERS, *FAULTS, *OUTCOMES} - {
            *kinds, *workers, *self.met, *self.outcomes
        }:  # fmt: skip
            yield "missing", what


def table(heads: Sequence[str], *rows: Sequence[object]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def told(figures: Figures, seed: str, findings: Sequence[Finding]) -> str:
    """In Markdown."""
    wrong = Counter(kind for kind, _ in findings)
    of_kind = {kind: [figures.calls[kind, worker] for worker in WORKERS] for kind in KINDS}
    tables = [
        table(["finding", "times"], *((f"{x}: {WRONGS[x]}", wrong[x]) for x in WRONGS)),
        table(["calls", *WORKERS], *([kind, *each] for kind, each in of_kind.items())),
        table(["outcome", "calls"], *figures.outcomes.most_common()),
        table(["fault", "requests"], *((fault, figures.met[fault]) for fault in FAULTS)),
        table(
            ["after a tenth of the calls", *range(1, len(figures.memory) + 1)],
            ["memory (MiB)", *(f"{each / 1024:.1f}" for each, _ in figures.memory)],
            ["blocks of Python's", *(f"{each:,}" for _, each in figures.memory)],
        ),
    ]
    return "\n".join([summary(figures, seed), "", *tables])


def summary(figures: Figures, seed: str) -> str:
    count, claims = sum(figures.calls.values()), figures.claims
    python, system = platform.python_version(), platform.system()
    return (
        f"{count:,} calls in {figures.seconds:.0f} seconds with seed {seed}: Python {python}, "
        f"{system}, {os.cpu_count()} CPUs.\n{sum(claims.values()):,} layers were to be written: "
        f"{claims['done']:,} were reported as done, {claims['not done']:,} as not done, "
        f"{claims['unknown']:,} as unknown (cancelled, or hit by a fault).\n"
        f"At most {figures.sockets} sockets were open at once; "
        f"the latest call ended {figures.latest:.2f} seconds after its time."
    )
