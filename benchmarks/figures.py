"""What the runs say: medians, ratios, targets, and where this client is slower. Pure."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from .sampling import OURS, Results, Samples, Spread, exponent, ratio, spread

ALIKE = 0.05
"""Less than this apart counts as the same."""


class Axis(NamedTuple):
    """How one axis is shown."""

    name: str
    title: str
    base: str
    unit: str
    scale: float
    label: str
    about: str

    def of(self, case: str) -> str:
        """A case in words."""
        words = self.label.format(f"{int(case):,}" if case.isdigit() else case)
        return "1 row" if words == "1 rows" else words


AXES = [
    Axis("decode", "Decoding", "json.loads", "µs", 1e6, "{} rows", "CPU a row"),
    Axis("shapes", "Decoding rows of other shapes", "json.loads", "µs", 1e6, "{}", "CPU a row"),
    Axis("calls", "Calls", "httpx", "µs", 1e6, "{}", "CPU a call, one row"),
    Axis("async", "Async calls", "httpx", "µs", 1e6, "{} at once", "CPU a call"),
    Axis("threads", "Calls from threads", "httpx", "µs", 1e6, "{} threads", "CPU a call"),
    Axis("import", "Import", "httpx", "ms", 1e3, "{}", "in a fresh process"),
    Axis("first call", "Import and first call", "httpx", "ms", 1e3, "{}", "in a fresh process"),
    Axis("memory", "Memory", "json.loads", "bytes", 1, "{}", "a row"),
]
BY_NAME = {axis.name: axis for axis in AXES}
PROVIDER = Axis(
    "provider", "The provider's SDK", "requests", "ms", 1e3, "{}", "CPU, its own environment"
)  # fmt: skip


class Figures:
    """The runs of one setting: every figure is the median of what each run says."""

    def __init__(self, runs: Sequence[Results]) -> None:
        self.runs = runs

    def cases(self, axis: str) -> list[str]:
        """Those of the last run that has any."""
        found = [[*run[axis]] for run in self.runs if run.get(axis)]
        return found[-1] if found else []

    def ways(self, axis: str, case: str) -> list[str]:
        """Those of the last run that has any."""
        found = self._samples(axis, case)
        return [*found[-1]] if found else []

    def cost(self, axis: str, case: str, way: str) -> Spread:
        """In seconds or bytes."""
        return _middle([spread(each[way]) for each in self._samples(axis, case, way)])

    def ratio(self, axis: str, case: str, way: str, base: str) -> Spread:
        """`way` over `base`, round by round."""
        return _middle([ratio(each, way, base) for each in self._samples(axis, case, way, base)])

    def _samples(self, axis: str, case: str, *ways: str) -> list[Samples]:
        found = [run[axis][case] for run in self.runs if case in run.get(axis, {})]
        return [samples for samples in found if samples.keys() >= {*ways}]

    def growth(self, way: str) -> float:
        """The exponent of decoding over rows, from 100 rows up."""
        cases = [case for case in self.cases("decode") if int(case) >= 100]
        rows = [(int(case), self.cost("decode", case, way).median) for case in cases]
        return exponent([(count, count * cost) for count, cost in rows])


def _middle(spreads: Sequence[Spread]) -> Spread:
    return Spread(*map(statistics.median, zip(*spreads, strict=True)))


class Target(NamedTuple):
    """At most `limit` of `base`; or, with `faster`, at least that many times as fast."""

    axis: str
    case: str
    base: str
    limit: float
    faster: bool = False

    @property
    def text(self) -> str:
        """In words."""
        axis = BY_NAME[self.axis]
        return f"{axis.title}: {axis.of(self.case)}, beside {self.base}"

    def verdict(self, figures: Figures) -> tuple[str, str]:
        """The figure, and whether it is met."""
        if self.case not in figures.cases(self.axis):
            return "-", "not measured"
        pair = (self.base, OURS) if self.faster else (OURS, self.base)
        figure = figures.ratio(self.axis, self.case, *pair).median
        met = figure >= self.limit if self.faster else figure <= self.limit
        return f"{figure:.2f}", "met" if met else "**not met**"


TARGETS = [
    Target("decode", "1000", "json.loads", 1.0),
    Target("decode", "50000", "json.loads", 1.35),
    Target("decode", "1000", "generated", 3.3, faster=True),
    Target("decode", "50000", "generated", 3.3, faster=True),
    Target("memory", "held", "generated", 1.0),
    Target("calls", "list", "httpx", 0.8),
    Target("calls", "add", "httpx", 0.8),
    Target("async", "1", "httpx", 0.8),
    Target("async", "32", "httpx", 0.8),
    Target("first call", "CPU", "requests", 1.0),
    Target("first call", "wall", "requests", 1.0),
    Target("import", "CPU", "httpx", 0.35),
    Target("import", "wall", "httpx", 0.35),
]


def judged(figure: float) -> str:
    """What a ratio of ours to a peer's cost means."""
    if abs(figure - 1) < ALIKE:
        return "alike"
    return "slower" if figure > 1 else "faster"


def sentences(figures: Figures, verdict: str) -> list[str]:
    """A line for each axis and peer with such a verdict: how many times its cost ours is."""
    lines = []
    for axis in AXES:
        cases = figures.cases(axis.name)
        for ours, peer in _pairs(figures, axis.name):
            ratios = [figures.ratio(axis.name, case, ours, peer).median for case in cases]
            found = [
                (one, axis.of(case))
                for one, case in zip(ratios, cases, strict=True)
                if judged(one) == verdict
            ]
            if found:
                title = axis.title + ours.removeprefix(OURS)
                lines.append(f"- **{title}**, beside {peer}: {_told(found, len(cases))}")
    return lines


def _told(found: list[tuple[float, str]], many: int) -> str:
    if len(found) <= 3:
        return ", ".join(f"{one:.2f} ({case})" for one, case in found)
    low, high = ("{:.2f} ({})".format(*each) for each in (min(found), max(found)))
    return f"{low} to {high}, in {len(found)} of {many} cases"


def _pairs(figures: Figures, axis: str) -> list[tuple[str, str]]:
    ways = figures.ways(axis, next(iter(figures.cases(axis)), ""))
    ours = [way for way in ways if way.startswith(OURS)]
    return [(one, peer) for one in ours for peer in ways if peer not in ours]
