"""The plots of the page, as SVG."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .figures import BY_NAME, Axis, Figures
from .sampling import OURS

# Okabe and Ito's palette, which the colour-blind can tell apart.
COLOURS = {
    OURS: "#D55E00",
    f"{OURS}, `Client`": "#E69F00",
    "json.loads": "#000000",
    "http.client": "#000000",
    "msgspec Struct": "#999999",
    "httpx": "#0072B2",
    "requests": "#009E73",
    "pydantic": "#CC79A7",
    "httpx + pydantic": "#CC79A7",
    "generated": "#56B4E9",
}
MARKERS = dict(zip(COLOURS, "oosssD^vvX", strict=True))
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "benchmarks",
}
LEGEND: dict[str, Any] = {"loc": "outside lower center", "ncols": 6, "fontsize": 9}


Panel = Callable[[Axes, Axis, Figures], None]


def draw(figures: Figures, folder: Path) -> list[str]:
    """Writes the plots of what was measured, and tells their names."""
    folder.mkdir(parents=True, exist_ok=True)
    pages: dict[str, list[tuple[Panel, str]]] = {
        "decode": [(_costs, "decode"), (_ratios, "decode")],
        "shapes": [(_dots, "shapes")],
        "calls": [(_bars, "calls")],
        "concurrency": [(_costs, "async"), (_costs, "threads")],
        "start": [(_bars, "import"), (_bars, "first call")],
        "memory": [(_bars, "memory")],
    }
    drawn = []
    with mpl.rc_context(STYLE):
        for name, panels in pages.items():
            shown = [(panel, BY_NAME[axis]) for panel, axis in panels if figures.cases(axis)]
            if shown:
                _save(folder / f"{name}.svg", shown, figures)
                drawn.append(name)
    return drawn


def _save(path: Path, panels: list[tuple[Panel, Axis]], figures: Figures) -> None:
    height = max(_height(panel, axis, figures) for panel, axis in panels)
    page = Figure(figsize=(5.5 * max(len(panels), 1.6), height), layout="constrained")
    known: dict[str, Artist] = {}
    for place, (panel, axis) in enumerate(panels, 1):
        ax = page.add_subplot(1, len(panels), place)
        panel(ax, axis, figures)
        handles, labels = ax.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    page.legend(
        handles=[*known.values()], labels=[*known], loc="outside lower center", ncols=6, fontsize=9
    )
    page.savefig(path, metadata={"Date": None})
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join(map(str.rstrip, lines)) + "\n", "utf-8")


def _height(panel: Panel, axis: Axis, figures: Figures) -> float:
    cases = figures.cases(axis.name)
    if panel is _bars:
        return 1 + 0.2 * sum(len(figures.ways(axis.name, case)) + 1 for case in cases)
    return 1 + 0.35 * len(cases) if panel is _dots else 4


def _lines(ax: Axes, axis: Axis, figures: Figures, *, ratios: bool) -> None:
    cases = figures.cases(axis.name)
    for way in figures.ways(axis.name, cases[0]):
        if ratios:
            spreads = [figures.ratio(axis.name, case, way, axis.base) for case in cases]
        else:
            spreads = [figures.cost(axis.name, case, way) for case in cases]
        scale = 1 if ratios else axis.scale
        low, middle, high = ([scale * each for each in one] for one in zip(*spreads, strict=True))
        rows = [int(case) for case in cases]
        width = 2.5 if way == OURS else 1.3
        ax.plot(rows, middle, MARKERS[way] + "-", color=COLOURS[way], label=way, lw=width, ms=4.5)
        ax.fill_between(rows, low, high, color=COLOURS[way], alpha=0.15, lw=0)
    ax.set_xscale("log", base=10 if axis.name == "decode" else 2)
    ax.xaxis.set_major_formatter("{x:,g}")
    ax.set_xlabel(axis.label.format("").strip())


def _costs(ax: Axes, axis: Axis, figures: Figures) -> None:
    _lines(ax, axis, figures, ratios=False)
    if axis.name == "decode":
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
    else:
        ax.set_ylim(bottom=0)
        cases = [int(case) for case in figures.cases(axis.name)]
        ax.set_xticks(cases, labels=map(str, cases))
    ax.set_title(f"{axis.title}: {axis.about} ({axis.unit})")


def _ratios(ax: Axes, axis: Axis, figures: Figures) -> None:
    _lines(ax, axis, figures, ratios=True)
    ax.set_yscale("log", base=2)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_title(f"Times the cost of {axis.base}")


def _dots(ax: Axes, axis: Axis, figures: Figures) -> None:
    cases = figures.cases(axis.name)
    for way in figures.ways(axis.name, cases[0]):
        spreads = [figures.ratio(axis.name, case, way, axis.base) for case in cases]
        errors = [[x.median - x.low for x in spreads], [x.high - x.median for x in spreads]]
        ax.errorbar(
            [each.median for each in spreads], range(len(cases)), xerr=errors, label=way,
            color=COLOURS[way], fmt=MARKERS[way], ms=8 if way == OURS else 5.5, lw=1.2,
        )  # fmt: skip
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_yticks(range(len(cases)), labels=[axis.of(case) for case in cases])
    ax.invert_yaxis()
    ax.set_title(f"{axis.title}: times the cost of {axis.base}")


def _bars(ax: Axes, axis: Axis, figures: Figures) -> None:
    cases = figures.cases(axis.name)
    place, ticks, seen = 0, [], set()
    for case in cases:
        ways = figures.ways(axis.name, case)
        ticks.append(place + (len(ways) - 1) / 2)
        for way in ways:
            low, middle, high = (axis.scale * each for each in figures.cost(axis.name, case, way))
            ax.barh(
                place, middle, 0.82, color=COLOURS[way], label=None if way in seen else way,
                xerr=[[middle - low], [high - middle]], error_kw={"lw": 1, "ecolor": "#333333"},
            )  # fmt: skip
            ax.annotate(f" {middle:,.0f}", (high, place), va="center", fontsize=8)
            seen.add(way)
            place += 1
        place += 1
    ax.set_yticks(ticks, labels=[axis.of(case) for case in cases])
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.grid(axis="y", visible=False)
    ax.set_title(f"{axis.title}: {axis.about} ({axis.unit})")
