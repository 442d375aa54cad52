"""Rounds and their statistics. Standard library alone: the provider's environment runs it too."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")
OURS = "this client"
Samples = dict[str, list[float]]
"""Way -> what each round has measured."""
Results = dict[str, dict[str, Samples]]
"""Axis -> case -> samples."""


class Spread(NamedTuple):
    """A median and its quartiles."""

    low: float
    median: float
    high: float


def rounds(ways: Mapping[str, Callable[[], T]], count: int) -> dict[str, list[T]]:
    """Each round runs every way, and begins with another one: the machine's speed drifts."""
    names = [*ways]
    samples: dict[str, list[T]] = {name: [] for name in names}
    for number in range(count):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            gc.collect()
            samples[name].append(ways[name]())
    return samples


def cpu(work: Callable[[], object], times: int, size: int = 1) -> Callable[[], float]:
    """A way whose sample is this process's CPU seconds for a `size`-th of one `work`."""
    work()

    def sample() -> float:
        start = time.process_time()
        for _ in range(times):
            # What the last one gave is freed after the clock has stopped.
            result = work()
        seconds = time.process_time() - start
        del result
        return seconds / times / size

    return sample


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    return Spread(*statistics.quantiles(values, n=4, method="inclusive"))


def ratio(samples: Samples, way: str, base: str) -> Spread:
    """Of each round's ratio: what the machine did meanwhile cancels out."""
    return spread([x / y for x, y in zip(samples[way], samples[base], strict=True)])


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The slope of log y over log x: 1.0 means that twice the rows cost twice as much."""
    xs, ys = zip(*[(math.log(x), math.log(y)) for x, y in points], strict=True)
    return statistics.linear_regression(xs, ys).slope
