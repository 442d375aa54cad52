"""Every snippet and command of the documents is tried."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from atomscale_target_materials.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "docs/reliability.md",
    )
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


SNIPPETS = [block for page in PAGES for block in blocks(page, "python")]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippets_run_and_print_what_they_say(
    snippet: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOMSCALE_API_KEY", sandbox.api_key)
    monkeypatch.setenv("ATOMSCALE_API_ENDPOINT", sandbox.base_url)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for promised in re.findall(r"print\(.*\)  # (.*)", snippet):
        shown = promised.split("...")[0].split(";")[0]
        if not shown.startswith("an aware"):
            assert shown in done.stdout


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) >= 5


def test_ci_runs_exactly_the_two_commands_of_the_readme() -> None:
    promised = blocks(PAGES[0], "console")[0].split("\n")[:-1]
    script = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert promised == ["make demo", "make test"]
    assert [line for line in script if line.startswith("make")] == promised


def test_the_verbs_that_the_documents_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    verbs = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", "".join(page.read_text("utf-8") for page in PAGES)))
    assert named - verbs == set()


def test_links_between_the_documents() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "examples" / "demo.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "SrTiO3(001)/BaTiO3(001)/Si" in done.stdout
    assert "ConflictError: POST /target-materials/layers/ answered 409" in done.stdout
