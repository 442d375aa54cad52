"""`make pull-request`, with a repository on this machine as origin and a stand-in for gh."""

import os
import subprocess
from pathlib import Path

import pytest

from .project import Project

GH = """#!/bin/sh
echo "$@" >> "$GH_LOG"
test "$1 $2" != "pr create" || exit "$GH_CREATE"
"""
ERRORS = "generated/atomscale_target_materials_api/errors.py"


def git(home: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=home, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project.copy_to(tmp_path / "copy")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gh").write_text(GH)
    (tmp_path / "bin" / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    for words in (
        ["init", "--quiet", "--initial-branch=main"],
        ["remote", "add", "origin", str(tmp_path / "origin.git")],
        ["add", "--all"],
        ["commit", "--quiet", "--message=spec"],
    ):
        git(project.home, *words)
    return project


def test_nothing_to_offer(project: Project, tmp_path: Path) -> None:
    done = project.make("pull-request", GH_CREATE="0", GH_LOG=str(tmp_path / "gh.log"))
    assert done.returncode == 0
    assert "no pull request is needed" in done.stdout
    assert not (tmp_path / "gh.log").exists()


@pytest.mark.parametrize("exists", [False, True])
def test_it_is_opened_or_updated(project: Project, tmp_path: Path, exists: bool) -> None:
    (project.home / ERRORS).write_text("# new\n")
    log = str(tmp_path / "gh.log")
    done = project.make("pull-request", GH_CREATE="1" if exists else "0", GH_LOG=log)
    assert done.returncode == 0, done.stderr
    assert git(tmp_path / "origin.git", "show", f"regenerate:{ERRORS}") == "# new\n"
    calls = (tmp_path / "gh.log").read_text().splitlines()
    assert calls[:2] == [
        "auth setup-git",
        "pr create --base main --head regenerate --title {} --body-file {}".format(
            "Regenerate the client", "build/diff.txt"
        ),
    ]
    assert len(calls) == (3 if exists else 2)
    assert not exists or calls[2].startswith("pr edit regenerate")
