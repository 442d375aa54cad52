"""`make bench`: measures, keeps the run in build/bench/, and writes docs/benchmarks.md."""

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main(arguments: list[str]) -> None:
    """Measures and writes."""
    # Imports are measured as users have them: compiled before.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    from . import axes  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--setting", choices=axes.SETTINGS, default="quick")
    parser.add_argument("--provider", action="store_true", help="the provider's SDK too")
    parser.add_argument("--runs", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "benchmarks.md")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    results = axes.measure(axes.SETTINGS[options.setting], provider=options.provider)
    # Only now: matplotlib is much for each collection of garbage above to walk through.
    from . import report  # noqa: PLC0415

    runs = report.keep(options.runs, options.setting, results)
    report.write(options.page, runs)
    seconds = time.monotonic() - start
    print(f"{options.page.name}: run {len(runs)} of at most {report.LAST}, {seconds:.0f} seconds")


if __name__ == "__main__":
    main(sys.argv[1:])
