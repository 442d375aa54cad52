"""A short soak, by the way that the long one goes; and it finds what is broken on purpose."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it counts what is in /proc")


def soaked(*options: str) -> tuple[dict[str, int], str]:
    """Finding -> how often it was found; all that was printed."""
    # What is measured is not to be measured by coverage.
    environment = {name: os.environ[name] for name in os.environ if "COV" not in name}
    run = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--seed", "1", *options],
        cwd=Path(__file__).parents[2],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    found = re.findall(r"^\| (\w+): .* \| (\d+) \|$", run.stdout, re.MULTILINE)
    times = {finding: int(count) for finding, count in found}
    assert run.returncode == bool(any(times.values()) or not times), run.stdout
    return times, run.stdout


def test_nothing_is_lost_crossed_doubled_or_leaked() -> None:
    times, told = soaked("--calls", "400")
    assert times, told
    assert set(times.values()) == {0}, told


@pytest.mark.parametrize(
    ("mechanism", "finding", "calls"),
    [
        ("doubt stays", "lost", "100"),
        ("nothing left over", "crossed stray", "400"),
        ("closed with its loop", "leaked", "100"),
    ],
)
def test_what_is_broken_is_found(mechanism: str, finding: str, calls: str) -> None:
    times, told = soaked("--calls", calls, "--without", mechanism)
    assert any(times[each] for each in finding.split()), told
