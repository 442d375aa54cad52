"""CONTRIBUTING's walk through a change of the spec prints what it says."""

import re
import subprocess
from pathlib import Path

from .project import CLEAN, ROOT, Project
from .test_evolution import FIELD

PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
WALK = PAGE[PAGE.index("## Changing the spec") : PAGE.index("## House rules")]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", WALK, re.MULTILINE | re.DOTALL)


def shown(text: str) -> list[str]:
    """Lines without make's own word of a failure, and without the numbers of lines."""
    kept = (line for line in text.splitlines() if not re.match(r"make(\[\d+\])?: \*\*\*", line))
    return [re.sub(r"line \d+", "line N", line) for line in kept]


def test_the_walk(tmp_path: Path) -> None:
    project = Project.copy_to(tmp_path / "copy")
    project.make()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "before"]):
        subprocess.run([*git, *words], cwd=project.home, check=True)
    [field] = blocks("yaml")
    project.edit((FIELD, FIELD + field))
    steps = [step for block in blocks("console") for step in block.split("$ ")[1:]]
    assert len(steps) == 8
    for step in steps:
        command, _, promised = step.partition("\n")
        done = subprocess.run(
            command,
            shell=True,
            cwd=project.home,
            env=CLEAN,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert shown(done.stdout) == shown(promised), command
