"""Prints what one call does to the memory of a fresh process, as JSON.

    python -m tests.faults.memory URL OPERATION KIND [MECHANISM]

The server is in another process. MECHANISM is disabled first.
"""

import asyncio
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from atomscale_target_materials import AsyncClient, AtomscaleError, Client

CALLS: dict[str, Callable[[Any], Any]] = {
    "list": lambda client: client.list_target_materials(),
    "add": lambda client: client.add_layer(layer_id=1),
}


def peak(process: int | str = "self", *, anew: bool = False) -> int:
    """The most that a process has had in memory, in bytes; `anew`: from now on.

    Not `ru_maxrss`: on Linux a new process starts with its parent's.
    """
    folder = Path("/proc", str(process))
    if process == "self" and not (folder / "clear_refs").exists():
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used if sys.platform == "darwin" else used * 1024
    if anew:
        (folder / "clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+) kB", (folder / "status").read_text())
    assert found
    return int(found[1]) * 1024


def call(url: str, operation: str, kind: str) -> Any:
    options: dict[str, Any] = {"base_url": url, "max_tries": 1, "timeout": 20}
    if kind == "sync":
        with Client("sk-memory", **options) as client:
            return CALLS[operation](client)

    async def called() -> Any:
        async with AsyncClient("sk-memory", **options) as client:
            return await CALLS[operation](client)

    return asyncio.run(called())


def main(url: str, operation: str, kind: str, *disabled: str) -> None:
    if disabled:
        import pytest

        from . import mechanisms, rows_surroundings

        known = {**mechanisms.MECHANISMS, **rows_surroundings.MECHANISMS}
        known[disabled[0]].disable(pytest.MonkeyPatch())
    before = peak(anew=True)
    try:
        call(url, operation, kind)
        error: Any = None
    except AtomscaleError as raised:
        error = raised
    report = {
        "grown": peak() - before,
        "error": type(error).__name__,
        "message": str(error),
        "unknown": getattr(error, "outcome_unknown", None),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
