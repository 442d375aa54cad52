"""`make soak`: all kinds of callers at once, random faults, and what came of it.

    python -m tests.soak [--calls N] [--seed SEED] [--without MECHANISM]

The same seed draws the same calls; which of them meets a fault depends on which comes first.
"""

import argparse
import asyncio
import contextlib
import faulthandler
import gc
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .. import pages
from . import report
from .calls import Call, drawn
from .crew import Crew, Held
from .ledger import Ledger

ENOUGH = 10_000
"""Calls: fewer tell their figures, but do not write them."""
AT_ONCE = 200
TENTHS = 10
EXAMPLES = 5


class Server:
    """The sandbox behind the proxy, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], db: Path) -> None:
        self._process, self._db = process, db
        self.base_url = self._line()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def account(self) -> tuple[Counter[str], Counter[str]]:
        """Since the last time: which faults came to pass, and which writes arrived."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        told = json.loads(self._line())
        return Counter(told["met"]), Counter(told["arrived"])


@contextlib.contextmanager
def served(db: Path, seed: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "tests.soak.server", str(db), seed]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield Server(process, db)


def memory() -> tuple[int, int]:
    """What this process has: KiB of memory, and blocks of it that Python has given out."""
    gc.collect()
    pages_of_memory = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
    return pages_of_memory * os.sysconf("SC_PAGE_SIZE") // 1024, sys.getallocatedblocks()


async def soak(calls: list[Call], seed: str, db: Path, ledger: Ledger) -> report.Figures:
    """Round after round; after each the database is looked into, and emptied."""
    figures = report.Figures()
    rounds = max(TENTHS, len(calls) // AT_ONCE)
    with served(db, seed) as server:
        crew = Crew(server.base_url, ledger)
        await crew.begin()
        for number in range(1, rounds + 1):
            some = calls[len(calls) * (number - 1) // rounds : len(calls) * number // rounds]
            await crew.carry_out(some)
            met, arrived = server.account()
            ledger.compare(some, db, arrived)
            figures.add(ledger.records, met)
            ledger.clear()
            if number * TENTHS // rounds > len(figures.memory):
                figures.memory.append(memory())
        await crew.aclose()
    return figures


def begun() -> argparse.Namespace:
    """The options; a run without an end ends with a look at all threads."""
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("--calls", type=int, default=ENOUGH)
    parser.add_argument("--seed", default=str(secrets.randbelow(10**6)))
    parser.add_argument("--without", help="a mechanism of the fault table, to be disabled")
    options = parser.parse_args()
    if not Path("/proc/self/fd").exists():
        sys.exit("a soak needs Linux: it counts open files and memory in /proc")
    if options.without:
        disable(options.without)
    faulthandler.dump_traceback_later(120 + options.calls / 10, exit=True)
    print(f"{options.calls:,} calls, seed {options.seed}", flush=True)
    return options


def main() -> None:
    options = begun()
    calls = [drawn(options.seed, number) for number in range(options.calls)]
    ledger, start = Ledger(), time.monotonic()
    ledger.watch()
    held = Held()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(soak(calls, options.seed, Path(folder) / "stacks.db", ledger))
    figures.seconds, figures.sockets = time.monotonic() - start, ledger.most_sockets
    findings = [*ledger.findings, *held.leaked(), *figures.faults()]
    text = report.told(figures, options.seed, findings)
    print(text)
    for kind in report.WRONGS:
        for what in [what for each, what in findings if each == kind][:EXAMPLES]:
            print(f"{kind}: {what}")
    if not findings and options.calls >= ENOUGH:
        pages.write("soak", text)
    sys.exit(bool(findings))


def disable(mechanism: str) -> None:
    import pytest

    from ..faults.rows import MECHANISMS

    MECHANISMS[mechanism].disable(pytest.MonkeyPatch())


if __name__ == "__main__":
    main()
