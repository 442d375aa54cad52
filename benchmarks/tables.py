"""`python -m benchmarks.tables`: what tables of 100,000 rows cost beside `pandas.json_normalize`.

Each way runs in a fresh process, from decoded rows to the table: CPU time, the best of five, and by
how much the process has grown at the peak. For Linux alone: elsewhere the peak cannot be set back.
"""

import gc
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from atomscale_target_materials import TargetMaterials

from .rows import body
from .ways import ours

ROWS, TIMES = 100_000, 5
NORMALIZE = "pandas.json_normalize"
FLAT = {"elements": "columns", "unknown": True}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    f"to_{library}({', '.join(f'{name}={value!r}' for name, value in options.items())})": (
        f"to_{library}",
        options,
    )
    for options in ({}, FLAT)
    for library in ("pandas", "polars", "arrow")
}


def _table(way: str, count: int) -> Callable[[], Any]:
    """What makes the table of so many rows, which are decoded before."""
    if way == NORMALIZE:
        import pandas  # noqa: PLC0415 - not where polars is measured

        return partial(pandas.json_normalize, json.loads(body(count)))
    method, options = WAYS[way]
    return partial(getattr(TargetMaterials(ours(body(count))), method), **options)


def _mebibytes(field: str) -> float:
    status = Path("/proc/self/status").read_text("ascii")
    return int(re.search(rf"{field}:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def measure(way: str) -> tuple[float, float]:
    """Milliseconds of CPU time, and the mebibytes by which the process grows."""
    _table(way, 1)()
    make = _table(way, ROWS)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    before = _mebibytes("VmRSS")
    seconds = []
    peak = 0.0
    for _ in range(TIMES):
        start = time.process_time()
        make()
        seconds.append(time.process_time() - start)
        peak = peak or _mebibytes("VmHWM") - before
    return min(seconds) * 1000, peak


def main() -> None:
    """Prints the figures as a Markdown table."""
    print(f"| {ROWS:,} rows | CPU ms | ratio | MiB | ratio |\n|---|---|---|---|---|")
    base: list[float] = []
    for way in (NORMALIZE, *WAYS):
        command = [sys.executable, "-m", "benchmarks.tables", way]
        run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
        figures = [*map(float, run.stdout.split())]
        base = base or figures
        cells = (f"{x:.0f} | {x / most:.2f}" for x, most in zip(figures, base, strict=True))
        print(f"| `{way}` | {' | '.join(cells)} |")


if __name__ == "__main__":
    if sys.argv[1:]:
        print(*measure(sys.argv[1]))
    else:
        main()
