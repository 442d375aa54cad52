"""A trial is a fork that imports a copy of the project and runs tests there, the quickest first."""

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Collection
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import coverage
import pytest
from hypothesis import settings

from .mutations import CORE, ROOT

COPIED = (
    "LICENSE", "README.md", "generated", "openapi.yaml", "overrides", "pyproject.toml", "tests",
    "tools",
)  # fmt: skip
# What looks at the repository rather than at the package, and what breaks the promises itself.
LEFT_OUT = (
    "test_no_file_names", "test_lock_files", "test_without_its_mechanism", "test_an_ordinary_call",
    "test_the_page",
)  # fmt: skip
# What most trials load is loaded before they fork.
LOADED = (
    "_pytest.doctest", "_pytest.junitxml", "anyio", "asyncio", "attrs", "httpcore", "httpx",
    "hypothesis.strategies", "jsonschema_rs", "msgspec", "pdb", "pymatgen.core", "readline",
    "starlette.applications", "trustme", "uvicorn.lifespan.on", "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto", "xml.etree.ElementTree",
    "yaml", "atomscale_target_materials_api.models",
)  # fmt: skip
COULD_NOT_RUN = 70
PATIENCE = 10.0
"""Seconds that a test may take more than ten times as long as it should."""


def load() -> None:
    """Makes trials cheap, and the same each time."""
    # Plugins would be loaded by each trial; hypothesis tries the same examples each time.
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    settings.register_profile("mutants", derandomize=True, database=None, deadline=None)
    settings.load_profile("mutants")
    for name in LOADED:
        import_module(name)
    gc.freeze()


def copy_to(folder: Path) -> None:
    """A copy of the project."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in (ROOT / name for name in COPIED):
        if source.is_dir():
            left = shutil.ignore_patterns("__pycache__", "mutants", "test_mutants.py")
            shutil.copytree(source, folder / source.name, ignore=left)
        else:
            shutil.copy(source, folder)


def fork(folder: Path, act: Callable[[], int]) -> int:
    """The process that does `act` in a copy of the project, in a group of its own."""
    sys.stdout.flush()
    return os.fork() or _act(folder, act)


def _act(folder: Path, act: Callable[[], int]) -> NoReturn:
    code = COULD_NOT_RUN
    try:
        os.setpgid(0, 0)
        # What runs in the background ignores it, and some tests send it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        paths = [str(folder / each) for each in (CORE.parent, "generated", "", "tools")]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        sys.path[:0] = paths
        # The copy's own `tests`, not this one.
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
        code = act()
    finally:
        sys.stdout.flush()
        os._exit(code)


def run(files: Collection[str], plugin: Any, *, stop: bool = True) -> int:
    """pytest in this process."""
    options = ["-x"] * stop + [
        "-q",
        "-o",
        "addopts=",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:faulthandler",
    ]
    return pytest.main([*options, "--rootdir=.", *files], plugins=[plugin])


class Chosen:
    """A plugin of pytest: runs the given tests in the given order, each for so long at most."""

    def __init__(self, tests: dict[str, float]) -> None:
        self.tests = tests

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        order = {name: place for place, name in enumerate(self.tests)}
        items[:] = sorted((x for x in items if x.nodeid in order), key=lambda x: order[x.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        # The last one that begins is the one that fails, or never ends.
        Path("killer").write_text(nodeid)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE + 10 * self.tests[nodeid])


class Watch:
    """A plugin of pytest: which lines of the core each test runs, and how long it takes."""

    def __init__(self, recorder: coverage.Coverage) -> None:
        self.recorder = recorder
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [x for x in items if not x.name.startswith(LEFT_OUT)]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        # Else only the first test is known to run what is cached.
        for name, module in sys.modules.copy().items():
            for each in vars(module).values() if name.startswith(CORE.name) else ():
                getattr(each, "cache_clear", int)()
        self.recorder.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration
        if report.failed:
            self.failed.add(report.nodeid)
