"""Every snippet and command of the documents is tried."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import build_docs
from atomscale_target_materials import Client, ConflictError, LayerStack
from atomscale_target_materials.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
INAS: dict[str, Any] = {"composition_string": "InAs", "orientation": "001"}
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "examples/README.md",
        "docs/reliability.md",
        "docs/peers.md",
        "docs/writing-layers.md",
        "docs/benchmarks.md",
    )
]
# Their links are checked where the site is built.
GUIDES = [
    ROOT / "docs" / f"{name}.md"
    for name in ("index", "tables", "pictures", "notebooks", "chemistry")
]


def blocks(page: Path, language: str) -> list[str]:
    return build_docs.blocks(page.read_text("utf-8"), language)


SNIPPETS = [(page, block) for page in PAGES for block in blocks(page, "python")]
# A guide goes on from snippet to snippet.
SNIPPETS += [(page, "\n".join(blocks(page, "python"))) for page in GUIDES]


@pytest.fixture
def environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMSCALE_API_KEY", sandbox.api_key)
    monkeypatch.setenv("ATOMSCALE_API_ENDPOINT", sandbox.base_url)


@pytest.mark.parametrize(("page", "snippet"), SNIPPETS)
@pytest.mark.usefixtures("environment")
def test_snippets_run_and_print_what_they_say(page: Path, snippet: str, tmp_path: Path) -> None:
    for language in ("yaml", "csv"):
        for block in blocks(page, language):
            (tmp_path / f"stack.{language}").write_text(block, "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
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
    texts = [page.read_text("utf-8") for page in PAGES + GUIDES]
    named = set(re.findall(r"`make ([a-z-]+)", "".join(texts)))
    assert named - verbs == set()


def test_links_between_the_documents() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_what_the_page_on_writing_shows_of_an_error(sandbox: Sandbox) -> None:
    page = ROOT / "docs" / "writing-layers.md"
    turned = LayerStack.declare(substrate="GaSb", layers=[{**INAS, "orientation": "110"}])
    with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        client.ensure_layer(layer_id=1, sample_id=56, **INAS)
        with pytest.raises(ConflictError) as caught:
            client.ensure_stack(turned, sample_id=56)
    assert str(caught.value).partition("\n")[2] == blocks(page, "text")[-1].strip()


@pytest.mark.usefixtures("environment")
def test_the_example_of_a_declared_stack() -> None:
    shown = [
        subprocess.run(
            [sys.executable, "-W", "error", ROOT / "examples" / "declared_stack.py"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    layers = ["1: InAs(001): {}", "2: AlSb(001): {}", "3: GaSb(001): {}"]
    for text, status in zip(shown, ("added", "present"), strict=True):
        done = "\n".join(layers).format(*[status] * 3)
        assert text.endswith(f"substrate: GaSb\n\n{done}\nGaSb(001)/AlSb(001)/InAs(001)/GaSb\n")


def test_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "examples" / "demo.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "SrTiO3(001)/BaTiO3(001)/Si" in done.stdout
    assert "ConflictError: POST /target-materials/layers/ answered 409" in done.stdout
