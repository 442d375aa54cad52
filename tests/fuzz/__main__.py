"""`make fuzz`: atheris beside hypothesis, for some seconds; what came of it goes to the docs."""

import argparse
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from ..pages import write
from .judge import STRICTER

ROOT = Path(__file__).parents[2]
BUILD, CORPUS = Path("build", "fuzz"), Path("tests", "fuzz", "corpus")
EXAMPLES_A_SECOND = 2
"""Of each property: with so many hypothesis takes no longer than atheris, where there are cores."""
ENOUGH = 60
"""Seconds: a shorter run tells its figures, but does not write them."""
LIMITS = "-timeout=10 -rss_limit_mb=1024 -max_len=8192"
"""For one answer: seconds; for the process: MiB; for one answer: bytes."""
TEXT = """
`make fuzz SECONDS={seconds}`, Python {python}: nothing was found.

| | |
|---|---|
| answers that atheris made | {number_of_executed_units:,}, {average_exec_per_sec:,} a second |
| what they reach of the client's code | {edges} edges, {features} features |
| corpus | {seeds} answers are committed, {corpus} were of use in the end |
| the slowest answer | {slowest_unit_time_sec} seconds (10 would be a finding) |
| memory | {peak_rss_mb} MiB (1,024 would be a finding) |
| examples that hypothesis made | {examples:,} of each property |

What a schema accepts and the client refuses, on purpose: {stricter}.
"""


def atheris(seconds: int, log: Path) -> subprocess.Popen[bytes]:
    """The fuzzer, under way; what it finds new goes to a corpus of its own."""
    found = BUILD / "corpus"
    found.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", f"{__package__}.target", str(found), str(CORPUS)]
    options = f"-max_total_time={seconds} -artifact_prefix={BUILD}/ -print_final_stats=1 {LIMITS}"
    with log.open("wb") as out:
        return subprocess.Popen([*command, *options.split()], stdout=out, stderr=out)


def hypothesis(examples: int) -> bool:
    """Do all properties hold?"""
    command = [sys.executable, "-m", "pytest", "-q", "--no-cov", "tests/fuzz"]
    environment = {**os.environ, "FUZZ_EXAMPLES": str(examples)}
    return subprocess.run(command, env=environment, check=False).returncode == 0


def figures(said: str) -> dict[str, int]:
    """Those of libFuzzer, at the end of a run without findings."""
    found = {name: int(each) for name, each in re.findall(r"stat::(\w+):\s+(\d+)", said)}
    *_, last = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", said)
    return found | dict(zip(["edges", "features", "corpus"], map(int, last), strict=True))


def main(seconds: int) -> int:
    """0 if nothing was found."""
    if find_spec("atheris") is None:
        sys.exit("make fuzz needs atheris: that is Linux, and a Python before 3.14")
    os.chdir(ROOT)
    log, examples = ROOT / BUILD / "log.txt", EXAMPLES_A_SECOND * seconds
    log.parent.mkdir(parents=True, exist_ok=True)
    told = {"seconds": seconds, "examples": examples, "seeds": len([*CORPUS.iterdir()])}
    fuzzer = atheris(seconds, log)
    holds = hypothesis(examples)
    stopped, said = fuzzer.wait() != 0, log.read_text("utf-8", "replace")
    if stopped:
        print(said[said.find(" === Uncaught") :][-4000:])
    for unit in re.findall(r"Test unit written to (\S+)", said):
        print(f"{unit} is a test when you move it to {CORPUS}/<what it is>")
    if stopped or not holds:
        return 1
    python, stricter = sys.version.split()[0], "; ".join(STRICTER)
    text = TEXT.format(python=python, stricter=stricter, **told, **figures(said))
    print(text)
    if seconds >= ENOUGH:
        write("fuzz", text)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("seconds", type=int)
    options = parser.parse_args()
    # Of 0 seconds libFuzzer makes a run without an end.
    sys.exit(main(max(1, options.seconds)))
