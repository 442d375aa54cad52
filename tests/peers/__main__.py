"""`make peers`: the fault table with other clients, into docs/peers.md and docs/reliability.md."""

import os
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache

from ..conftest import surroundings
from .apart import SHARED
from .guests import NAMES, ROOT, Worker
from .judge import fault_of
from .page import Found, write

AT_ONCE = 3
"""Processes: they mostly wait."""


@cache
def worker(peer: str) -> Worker:
    python = sys.executable if peer == "ours" else ROOT / ".venv-peers" / "bin" / "python"
    return Worker(peer, python)


def run(case: tuple[str, int, str]) -> str:
    peer, number, operation = case
    return fault_of(SHARED[number], operation, worker(peer))


def measured() -> Found:
    cases = [
        (peer, number, operation)
        for number, row in enumerate(SHARED)
        for operation in row.operations
        for peer in NAMES
    ]
    with ProcessPoolExecutor(AT_ONCE) as pool:
        faults = told(pool.map(run, cases), len(cases))
        return {
            (peer, str(SHARED[number]), operation): fault
            for (peer, number, operation), fault in zip(cases, faults, strict=True)
        }


def told(faults: Iterable[str], count: int) -> Iterable[str]:
    for number, fault in enumerate(faults, start=1):
        if number % 500 == 0:
            print(f"{number} of {count}", flush=True)
        yield fault


def main() -> int:
    for name in surroundings():
        del os.environ[name]
    found = measured()
    versions = {peer: worker(peer).versions() for peer in NAMES}
    broken = [case[1:] for case, fault in found.items() if case[0] == "ours" and fault]
    print(write(found, versions))
    for row, operation in broken:
        print(f"this client breaks: {row} ({operation}): {found['ours', row, operation]}")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
