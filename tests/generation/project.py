"""A copy of this repository whose spec is edited as a person would."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs

from ..conftest import KEY
from ..server import Server, replies

ROOT = Path(__file__).parents[2]
# What an outer make and the measuring of coverage say to their children is not for the copies.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("MAKE", "MFLAGS", "COV"))
}

PREAMBLE = """
import json, os, sys
import atomscale_target_materials, atomscale_target_materials_api as api
for package in (atomscale_target_materials, api):
    assert package.__file__.startswith(os.environ["COPY"]), package.__file__
from atomscale_target_materials import *
client = Client()
def show(**values):
    client.close()
    print(json.dumps(values, default=str))
def refused(act, *kinds):
    try:
        act()
    except kinds or (AtomscaleError,) as error:
        return f"{type(error).__name__}: {error}"
"""


@attrs.frozen
class Used:
    """What a script printed with `show`, and the requests that it sent."""

    shown: dict[str, Any]
    requests: list[bytes]

    @property
    def lines(self) -> list[str]:
        return [request.split(b"\r\n")[0].decode() for request in self.requests]

    @property
    def bodies(self) -> list[bytes]:
        return [request.partition(b"\r\n\r\n")[2] for request in self.requests]


@attrs.frozen
class Project:
    """A copy of the repository."""

    home: Path

    @classmethod
    def copy_to(cls, home: Path) -> "Project":
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file() and not name.startswith(("tests/", ".github/")):
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, home / name)
        (home / ".venv").symlink_to(sys.prefix)
        return cls(home)

    def edit(self, *edits: tuple[str, str]) -> "Project":
        """Replaces texts in the spec, each at its first place."""
        spec = self.home / "openapi.yaml"
        text = spec.read_text("utf-8")
        for old, new in edits:
            assert old in text, old
            text = text.replace(old, new, 1)
        spec.write_text(text, "utf-8")
        return self

    def make(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *(words or ["generate"])],
            cwd=self.home,
            env={**CLEAN, "PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def generated(self) -> dict[str, bytes]:
        folder = self.home / "generated"
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }

    def use(self, script: str, *answers: bytes) -> Used:
        """Runs a script with the copy's packages against a server that gives these answers."""
        folders = [str(self.home / "generated"), str(self.home / "overrides")]
        with Server(replies(*answers)) as server:
            done = subprocess.run(
                [sys.executable, "-W", "error", "-c", PREAMBLE + script],
                env={
                    **CLEAN,
                    "COPY": str(self.home),
                    "PYTHONPATH": os.pathsep.join(folders),
                    "ATOMSCALE_API_KEY": KEY,
                    "ATOMSCALE_API_ENDPOINT": server.base_url,
                },
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        return Used(json.loads(done.stdout), server.requests)
