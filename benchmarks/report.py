"""docs/benchmarks.md: its generated part, from the last runs."""

import hashlib
import json
import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .figures import AXES, PROVIDER, TARGETS, Axis, Figures, sentences
from .plots import draw
from .sampling import OURS, Results

ROOT = Path(__file__).parents[1]
MARK = "<!-- From here on the page is made by `make bench`. -->\n"
PEERS = ["httpx", "httpcore", "requests", "urllib3", "pydantic", "msgspec", "attrs"]
LAST = 3
"""Runs of which the medians are shown."""


def surroundings() -> dict[str, str]:
    """The machine and the versions; never its name."""
    found = Path("/proc/cpuinfo")
    text = found.read_text("utf-8") if found.exists() else ""
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return {
        "processor": model[1] if model else platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: version(name) for name in PEERS},
    }


def code() -> str:
    """Which state of this client is measured: runs of another one are not mixed in."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "overrides").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def keep(folder: Path, setting: str, results: Results) -> list[dict[str, Any]]:
    """Adds a run to the folder, and gives the last ones that are like it."""
    now = datetime.now(UTC)
    like = {"setting": setting, "code": code(), "surroundings": surroundings()}
    run = like | {"date": f"{now:%Y-%m-%d}", "results": results}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{setting}-{now:%Y%m%dT%H%M%S.%f}.json").write_text(json.dumps(run), "utf-8")
    runs = [json.loads(path.read_bytes()) for path in sorted(folder.glob(f"{setting}-*.json"))]
    return [each for each in runs if like.items() <= each.items()][-LAST:]


def write(page: Path, runs: Sequence[dict[str, Any]]) -> None:
    """The generated part of the page, and its plots beside it."""
    figures = Figures([run["results"] for run in runs])
    drawn = draw(figures, page.with_suffix(""))
    parts = [_intro(runs), _targets(figures), *_judgements(figures), _machine(runs)]
    parts += [_section(figures, axis, drawn) for axis in AXES]
    parts += [_growth(figures), _provider(figures)]
    written = page.read_text("utf-8").partition(MARK)[0] if page.exists() else ""
    page.write_text(written + MARK + "\n" + "\n\n".join(parts) + "\n", "utf-8")


def _intro(runs: Sequence[dict[str, Any]]) -> str:
    dates = " to ".join(dict.fromkeys([runs[0]["date"], runs[-1]["date"]]))
    many = f"medians of {len(runs)} runs" if len(runs) > 1 else "1 run"
    return f"Setting `{runs[-1]['setting']}`, {many}, {dates}."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _targets(figures: Figures) -> str:
    rows = []
    for target in TARGETS:
        aim = f"{target.limit} or more" if target.faster else f"{target.limit} or less"
        kind = "times as fast" if target.faster else "times the cost"
        rows.append([target.text, f"{aim} {kind}", *target.verdict(figures)])
    return "## Targets\n\n" + _table(["what", "target", "figure", "verdict"], rows)


def _judgements(figures: Figures) -> list[str]:
    texts = {
        "slower": ("Where it is slower", "costs more than the peer's"),
        "faster": ("Where it is faster", "costs less than the peer's"),
        "alike": ("Where it is much the same", "is within 5 % of the peer's cost"),
    }
    return [
        f"## {title}\n\nHow many times the peer's cost this client takes, where it {told}:\n\n"
        + ("\n".join(sentences(figures, verdict)) or "Nowhere.")
        for verdict, (title, told) in texts.items()
    ]


def _machine(runs: Sequence[dict[str, Any]]) -> str:
    rows = [[name, value] for name, value in runs[-1]["surroundings"].items()]
    return "## The machine\n\n" + _table(["what", "which"], rows)


def _section(figures: Figures, axis: Axis, drawn: Sequence[str] = ()) -> str:
    cases = figures.cases(axis.name)
    title = f"## {axis.title}\n\n"
    if not cases:
        return title + "Not measured in this setting."
    ways = figures.ways(axis.name, cases[0])
    told = f"{axis.about[0].upper()}{axis.about[1:]}, in {axis.unit}"
    text = f"{told}: the median, and in brackets the ratio to {axis.base} with its quartiles."
    rows = [[axis.of(case), *(_cell(figures, axis, case, way) for way in ways)] for case in cases]
    name = PLOT_OF.get(axis.name, axis.name)
    plot = f"\n\n![{axis.title}](benchmarks/{name}.svg)" if name in drawn else ""
    return title + text + "\n\n" + _table(["", *ways], rows) + plot


PLOT_OF = {"async": "concurrency", "first call": "start", "import": "", "threads": ""}


def _cell(figures: Figures, axis: Axis, case: str, way: str) -> str:
    cost = axis.scale * figures.cost(axis.name, case, way).median
    shown = f"{cost:,.0f}" if cost >= 100 else f"{cost:.3g}"
    low, middle, high = figures.ratio(axis.name, case, way, axis.base)
    return shown if way == axis.base else f"{shown} ({middle:.2f}; {low:.2f} to {high:.2f})"


def _growth(figures: Figures) -> str:
    ways = figures.ways("decode", figures.cases("decode")[0])
    rows = [[way, f"{figures.growth(way):.3f}"] for way in ways]
    return (
        "## Growth\n\nDecoding costs rows to the power of this, from 100 rows up; 1 means that "
        "twice the rows cost twice as much.\n\n" + _table(["way", "exponent"], rows)
    )


def _provider(figures: Figures) -> str:
    text = _section(figures, PROVIDER)
    if not figures.cases(PROVIDER.name):
        return text + " `make bench PROVIDER=1` measures it."
    ours = figures.ratio("calls", "list", OURS, "requests").median
    return (
        f"{text}\n\nFor comparison: {OURS} takes {ours:.2f} times the CPU of requests for a list."
    )
