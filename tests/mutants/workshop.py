"""Where mutants are tried: copies of the project, and what is known of the tests."""

import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import attrs
import coverage

from .mutations import CORE, ROOMS, ROOT, Mutant, statement_at, uses
from .trial import COULD_NOT_RUN, Chosen, Watch, copy_to, fork, load, run

BUDGET = 12.0
"""Seconds of tests for a mutant, the quickest; those of the module's own file not counted."""
IMPORTING = 60
PASSED, FAILED, NONE = 0, 1, 5
"""pytest's exit codes."""
OWN = {
    "__init__": ("house",),
    "_codec": ("codec", "messages", "wire"),
    "_drivers": ("client", "transport"),
    "_operations": ("operations", "ensure"),
    "_settings": ("settings", "logging"),
    "_transport": ("client", "transport", "messages"),
}
"""Whose tests are about a module, where they are not those of its name."""
SLOW = tuple(f"tests/test_{room}.py" for room in ROOMS)
BROKEN = Mutant("errors", "a core that cannot be imported", 1, "raise RuntimeError")
WHOLE = Mutant("errors", "the core as it is", 1, (ROOT / CORE / "errors.py").read_text("utf-8"))


@attrs.define
class Workshop:
    """As many copies as there are groups of files; each group runs once in its copy, watched."""

    folder: Path
    groups: Sequence[Sequence[str]]
    seen: dict[str, Any] = attrs.field(factory=dict)
    """`lines`: the tests that run each line of a module; `seconds`: how long each test takes."""
    results: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    """By the mutant's name the outcome, and the test that killed it, which is tried first next."""

    def __attrs_post_init__(self) -> None:
        load()
        for slot in range(len(self.groups)):
            copy_to(self._copy(slot))
        self.seen = self._watched()
        if self._file.exists():
            self.results = json.loads(self._file.read_text())
        self.try_all([BROKEN, WHOLE])
        found = [self.results[each.name]["outcome"] for each in (BROKEN, WHOLE)]
        assert found == ["killed", "survived"], "the copies are not what is tested, or do not work"

    def _copy(self, slot: int) -> Path:
        return self.folder / str(slot)

    @property
    def _file(self) -> Path:
        return self.folder / "results.json"

    def _watched(self) -> dict[str, Any]:
        known = self.folder / "watched.json"
        sources = [*sorted(self._copy(0).rglob("*.py")), ROOT / "dev.lock", ROOT / "openapi.yaml"]
        texts = [sys.version.encode(), *(path.read_bytes() for path in sources)]
        state = hashlib.sha256(b"".join(texts)).hexdigest()
        seen: dict[str, Any] = json.loads(known.read_text()) if known.exists() else {}
        if seen.get("state") == state:
            return seen
        print("each test runs once, to see what it runs", flush=True)
        parts = enumerate(self.groups)
        children = {fork(self._copy(slot), partial(_watch, files)): slot for slot, files in parts}
        seen = {"state": state, "lines": {}, "seconds": {}}
        for child, slot in children.items():
            if os.waitpid(child, 0)[1]:
                sys.exit(f"tests could not be watched: see {self._copy(slot) / 'log'}")
            found = json.loads((self._copy(slot) / "seen").read_text())
            print(*(f"fails, so it is left out: {test}" for test in found["failed"]), sep="\n")
            passed = found["seconds"].keys() - set(found["failed"])
            seen["seconds"] |= {test: found["seconds"][test] for test in passed}
            for module, lines in found["lines"].items():
                whole = seen["lines"].setdefault(module, {})
                for line, tests in lines.items():
                    whole[line] = whole.get(line, []) + tests
        known.write_text(json.dumps(seen))
        return seen

    def tests_of(self, mutant: Mutant) -> dict[str, float]:
        """The quickest that run its statement, else those that run what names it, or its module."""
        span, names = statement_at(mutant.module, mutant.line)
        used = [place for name in names for place in uses().get(name, ())]
        whole = [(mutant.module, int(line)) for line in self.seen["lines"].get(mutant.module, ())]
        near = [(mutant.module, line) for line in span]
        own = {test for test in self.seen["seconds"] if test.startswith(_own(mutant))}
        found = self._that_run(near) or self._that_run(used) | own or self._that_run(whole)
        seconds, left, chosen = self.seen["seconds"], BUDGET, {}
        for test in sorted(found & seconds.keys(), key=seconds.__getitem__):
            left -= 0 if test.startswith(_own(mutant)) else seconds[test]
            if left > 0 or test.startswith(_own(mutant)):
                chosen[test] = seconds[test]
        return chosen

    def _that_run(self, places: Iterable[tuple[str, int]]) -> set[str]:
        lines = self.seen["lines"]
        found = (lines.get(module, {}).get(str(line), ()) for module, line in places)
        return {*chain.from_iterable(found)} - {""}

    def try_all(self, mutants: Iterable[Mutant]) -> None:
        """Tries each mutant, and notes what came of it."""
        queue, free = enumerate(mutants, 1), [*range(len(self.groups))]
        running: dict[int, tuple[int, Mutant]] = {}
        try:
            while True:
                while free and (following := next(queue, None)):
                    slot, (serial, mutant) = free.pop(), following
                    killer = self.results.get(mutant.name, {}).get("killer", "")
                    act = partial(_try, mutant, self.tests_of(mutant), killer, serial)
                    running[fork(self._copy(slot), act)] = slot, mutant
                if not running:
                    return
                child, status = os.wait()
                slot, mutant = running.pop(child)
                _end(child)
                free.append(slot)
                self._note(mutant, self._copy(slot), os.waitstatus_to_exitcode(status))
        finally:
            for child in running:
                _end(child)
            self._file.write_text(json.dumps(self.results, indent=0))

    def _note(self, mutant: Mutant, copy: Path, code: int) -> None:
        if code == COULD_NOT_RUN:
            sys.exit(f"{mutant.name}: it could not be tried, see {copy / 'log'}")
        name = CORE / f"{mutant.module}.py"
        shutil.copy2(ROOT / name, copy / name)
        outcome = {PASSED: "survived", -signal.SIGALRM: "timeout"}.get(code, "killed")
        self.results[mutant.name] = {"outcome": outcome, "killer": (copy / "killer").read_text()}
        if outcome != "killed":
            print(f"{outcome}: {mutant.name}", flush=True)


def _own(mutant: Mutant) -> tuple[str, ...]:
    names = OWN.get(mutant.module, (mutant.module.strip("_"),))
    return tuple(f"tests/test_{name}.py" for name in names)


def _end(child: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def _watch(files: Sequence[str]) -> int:
    options: Any = {"data_file": None, "config_file": False, "include": [f"*/{CORE}/*.py"]}
    watch = Watch(coverage.Coverage(**options))
    with watch.recorder.collect():
        code = run(files, watch, stop=False)
    data = watch.recorder.get_data()
    lines = {Path(x).stem: data.contexts_by_lineno(x) for x in data.measured_files()}
    seen = {"lines": lines, "seconds": watch.seconds, "failed": sorted(watch.failed)}
    Path("seen").write_text(json.dumps(seen))
    return 0 if code in (PASSED, FAILED) else code


def _try(mutant: Mutant, tests: dict[str, float], killer: str, serial: int) -> int:
    """What a trial does: the last killer, the module's own, other units, the table, the rooms."""
    Path("killer").write_text("")
    path = CORE / f"{mutant.module}.py"
    path.write_text(mutant.code, "utf-8")
    os.utime(path, (serial, serial))  # so that no compiled module is taken for this one
    for turn in range(5):
        signal.setitimer(signal.ITIMER_REAL, IMPORTING)
        chosen = Chosen({x: tests[x] for x in tests if _turn(x, mutant, killer) == turn})
        code = _ran(chosen) if chosen.tests else PASSED
        if code not in (PASSED, NONE):
            return code
    Path("killer").write_text("")
    return PASSED


def _turn(test: str, mutant: Mutant, killer: str) -> int:
    if test == killer:
        return 0
    if test.startswith(SLOW):
        return 4
    return 1 if test.startswith(_own(mutant)) else 2 if test.startswith("tests/test_") else 3


def _ran(chosen: Chosen) -> int:
    try:
        return run({test.partition("::")[0] for test in chosen.tests}, chosen)
    except BaseException:  # noqa: BLE001 - a mutant may do anything
        return FAILED
