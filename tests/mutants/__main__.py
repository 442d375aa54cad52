"""`make mutants`: is there a test for each decision of the core? Into docs/reliability.md."""

import sys
import time

from ..pages import write
from .mutations import MODULES, ROOMS, ROOT, mutants_of
from .page import faults, section
from .workshop import Workshop

UNITS = (
    "client", "codec", "ensure", "errors", "files", "house", "logging", "messages", "operations",
    "settings", "stacks", "steps", "transport", "wire",
)  # fmt: skip
GROUPS = [
    [
        *(f"tests/test_{name}.py" for name in UNITS),
        "tests/contract/test_private_names.py",
        "tests/faults/test_secrets.py",
    ],
    [*(f"tests/test_{name}.py" for name in ROOMS), "tests/faults/test_table.py"],
]


def main(modules: list[str]) -> bool:
    """Is each survivor explained?"""
    began = time.monotonic()
    mutants = [mutant for module in modules for mutant in mutants_of(module)]
    workshop = Workshop(ROOT / "build" / "mutants", GROUPS)
    workshop.try_all(mutants)
    outcomes = {mutant: workshop.results[mutant.name]["outcome"] for mutant in mutants}
    wrong = faults(outcomes)
    if modules == MODULES:
        write("mutants", section(outcomes))
    print(*wrong, sep="\n")
    survived = sum(outcome == "survived" for outcome in outcomes.values())
    minutes = (time.monotonic() - began) / 60
    print(f"{len(mutants)} mutants, {survived} survived, in {minutes:.0f} minutes")
    return not wrong


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:] or MODULES))
