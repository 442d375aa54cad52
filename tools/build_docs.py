"""The documentation site: the pages, with what code makes of them, gathered and built.

    python tools/build_docs.py FOLDER     FOLDER/pages/ is gathered, FOLDER/site/ is built

The Python snippets of a page that shows pictures run as one script, on a sandbox of its own, in the
folder of the images: what the page shows is what its own code saves. A line `<!-- shown: stack -->`
becomes what a notebook shows of that name. A warning, of whatever tool, ends the build.
"""

import io
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import warnings
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

from api_page import api_page
from atomscale_target_materials.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[1]
SPEC = ROOT / "generated" / "atomscale_target_materials_api" / "openapi.json"


def main(folder: Path) -> None:
    """Builds the site in a folder; exits with a status when anything is wrong."""
    pages = folder / "pages"
    for old in (pages, folder / "site"):
        shutil.rmtree(old, ignore_errors=True)
    gather(pages)
    for page in sorted(pages.glob("*.md")):
        page.write_text(drawn(flat(page.read_text("utf-8")), page), "utf-8")
    shutil.copy(ROOT / "zensical.toml", folder)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(command, cwd=folder, check=False, stderr=subprocess.PIPE, text=True)
    verdict = re.sub(r"\x1b\[[\d;]*m", "", done.stderr).strip()
    # What is wrong with a docstring is told, but not counted by --strict.
    sys.exit(verdict if done.returncode or verdict != "No issues found" else None)


def gather(pages: Path) -> None:
    """Puts all pages into one folder, also those that stand elsewhere or are made of the spec."""
    shutil.copytree(ROOT / "docs", pages)
    (pages / "images").mkdir()
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        shutil.copy(ROOT / name, pages / name.lower())
    shutil.copy(ROOT / "openapi.yaml", pages)
    (pages / "api.md").write_text(api_page(json.loads(SPEC.read_bytes())), "utf-8")


def flat(text: str) -> str:
    """A page's text, its links as in one folder, where the first page stands for the README."""
    pages = re.compile(r"(?<=\]\()(?:\.\./|docs/)([\w-]+\.md)")
    return pages.sub(lambda link: link[1].lower().replace("readme", "index"), text)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a page that are in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def drawn(text: str, page: Path) -> str:
    """A page's text: its pictures are drawn, and what a notebook shows is filled in."""
    if "](images/" not in text and "<!-- shown: " not in text:
        return text
    script = page.with_suffix(".py")
    script.write_text("\n".join(blocks(text, "python")), "utf-8")
    names = run(script, page.parent / "images")
    script.unlink()
    shown = re.compile(r"<!-- shown: (\w+) -->")
    return shown.sub(lambda mark: f'<div class="shown">{names[mark[1]]._repr_html_()}</div>', text)


def run(script: Path, folder: Path) -> dict[str, Any]:
    """Runs a script in a folder, on a sandbox of its own; returns the names that it sets."""
    with Sandbox() as sandbox, chdir(folder), redirect_stdout(io.StringIO()):
        os.environ["ATOMSCALE_API_KEY"] = sandbox.api_key
        os.environ["ATOMSCALE_API_ENDPOINT"] = sandbox.base_url
        with warnings.catch_warnings(action="error"):
            return runpy.run_path(str(script))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
