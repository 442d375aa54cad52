"""`make mutants` in short: one module, with its own tests alone."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from .mutants.mutations import MODULES, ROOT, mutants_of
from .mutants.page import explained
from .pages import made

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="each mutant is tried in a fork")

# In a process of its own: one with threads is better not forked.
SHORT = """
import sys
from pathlib import Path
from tests.mutants.mutations import mutants_of
from tests.mutants.workshop import Workshop

workshop = Workshop(Path(sys.argv[1]), [["tests/test_errors.py"]])
workshop.try_all(mutants_of("errors"))
"""


def test_each_mutant_of_the_errors_is_noticed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SHORT, str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    outcomes = {mutant.name: results[mutant.name]["outcome"] for mutant in mutants_of("errors")}
    survivors = {name for name, outcome in outcomes.items() if outcome == "survived"}
    assert survivors - explained().keys() == set()


def test_what_is_explained_is_of_the_core() -> None:
    assert {re.split("[.:]", name)[0] for name in explained()} <= {*MODULES}


def test_the_page_tells_how_many_survive_and_why() -> None:
    told = re.findall(r"^\| ([^|]+) \| (\d+) \|$", made("mutants"), re.MULTILINE)
    assert {reason: int(count) for reason, count in told} == Counter(explained().values())
