"""What survives must be explained, and what is explained must survive."""

import platform
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from .mutations import Mutant

Outcomes = Mapping[Mutant, str]
EXPLANATIONS = Path(__file__).with_name("survivors.toml")


def explained() -> dict[str, str]:
    """By the name of each mutant that may survive, the reason."""
    reasons = tomllib.loads(EXPLANATIONS.read_text("utf-8"))
    return {name: reason for reason, names in reasons.items() for name in names}


def faults(outcomes: Outcomes) -> list[str]:
    """What is wrong: survivors without a reason, reasons without a survivor."""
    return [*_faults(outcomes, explained())]


def _faults(outcomes: Outcomes, reasons: Collection[str]) -> Iterator[str]:
    modules = {mutant.module for mutant in outcomes}
    survived = {mutant.name for mutant, outcome in outcomes.items() if outcome == "survived"}
    for mutant, outcome in outcomes.items():
        if outcome == "survived" and mutant.name not in reasons:
            yield f"no test fails, and nothing explains it: {mutant.name}"
    for name in sorted({*reasons} - survived):
        if name.partition(":")[0].partition(".")[0] in modules:
            yield f"explained, but it does not survive: {name}"


def section(outcomes: Outcomes) -> str:
    """For the page: a line for each module, one for each reason."""
    noticed = sum(outcome != "survived" for outcome in outcomes.values())
    score = f"Of {len(outcomes):,} mutants {noticed / len(outcomes):.1%} are noticed"
    lines = [f"{score} (Python {platform.python_version()}).", ""]
    lines += ["| module | mutants | a test fails | a test never ends | survive, explained |"]
    lines += ["|---|--:|--:|--:|--:|"]
    counts: Counter[tuple[str, str]] = Counter()
    for mutant, outcome in outcomes.items():
        counts.update([(f"`{mutant.module}`", outcome), ("all", outcome)])
    for module in dict.fromkeys(module for module, _ in counts if module != "all") | {"all": None}:
        told = [counts[module, outcome] for outcome in ("killed", "timeout", "survived")]
        lines.append(f"| {module} | {' | '.join(map(str, [sum(told), *told]))} |")
    reasons = explained()
    why = Counter(
        reasons.get(mutant.name, "nobody knows")
        for mutant, outcome in outcomes.items()
        if outcome == "survived"
    )
    lines += ["", "| why some survive | mutants |", "|---|--:|"]
    lines += [f"| {reason} | {count} |" for reason, count in why.most_common()]
    return "\n".join(lines)
