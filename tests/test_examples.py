"""The examples do what they say: scripts as programs, notebooks in a kernel, on a sandbox."""

import re
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from atomscale_target_materials import Client
from atomscale_target_materials.sandbox import Sandbox

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATOMSCALE_API_KEY", sandbox.api_key)
    monkeypatch.setenv("ATOMSCALE_API_ENDPOINT", sandbox.base_url)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.chdir(tmp_path)


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a script where warnings are errors; it never shows the key."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert Sandbox.api_key not in done.stdout + done.stderr
    return done


def shown(name: str, *arguments: str) -> str:
    """What a script prints that ends well, and quietly."""
    done = run(name, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def odd_samples() -> None:
    with Client() as client:
        client.add_layer(layer_id=4, sample_id=42, composition_string="SrTiO3")
        client.add_layer(layer_id=1, sample_id=56, composition_string="Unobtainium")


@pytest.mark.usefixtures("odd_samples")
@pytest.mark.parametrize("arguments", [(), ("drawn.png",)])
def test_the_campaign_is_told_and_drawn(arguments: tuple[str, ...]) -> None:
    text = shown("campaign.py", *arguments)
    assert text.startswith("15 stacks, 45 layers\n")
    assert "42  BaTiO3 on Si: SrTiO3/BaTiO3(001)/Si\n    no layer at [2-3]\n" in text
    assert re.search("56  InAs on GaSb, planned: Unobtainium/GaSb\n    .*Unobtainium", text)
    assert text.count("\n    ") == 2
    assert Path(*arguments or ("campaign.png",)).read_bytes().startswith(PNG)


def test_a_campaign_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMSCALE_API_KEY", "revoked-key-of-somebody")
    done = run("campaign.py")
    assert done.returncode == 1
    assert done.stderr.startswith("AuthenticationError: ")
    assert not Path("campaign.png").exists()


def test_the_compositions() -> None:
    text = shown("compositions.py")
    assert re.search(r"\n42 +1 .* 0\.2 .* 0\.6 ", text)
    assert re.search(r"\nGa +5\n", text)
    assert re.search(r"\nSi +2024-01-15 11:00:00\+00:00\n", text)
    assert "12: GaAs(001): to add\n11: AlAs(001): to add\n10: GaAs(001): present\n" in text


def test_many_calls_and_again() -> None:
    for status in "added", "present":
        lines = shown("many_calls.py").splitlines()
        for sample, position in (42, 2), (44, 2), (45, 4), (46, 2):
            assert f"sample {sample}: {position}: SrTiO3(001): {status}" in lines
            assert f"sample {sample}: complete" in lines


def test_one_of_many_calls_fails_alone() -> None:
    with Client() as client:
        client.add_layer(layer_id=2, sample_id=44, composition_string="MgO")
    done = run("many_calls.py")
    assert done.returncode == 1
    assert sorted(re.findall(r"sample (\d+): complete", done.stdout)) == ["42", "45", "46"]
    advice, error, *_, note = done.stderr.splitlines()
    assert advice == "Settle by hand, then run this again:"
    assert "ConflictError: the server has something else" in error
    assert note == "sample 44"


def test_many_calls_that_are_refused(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMSCALE_API_KEY", sandbox.read_only_api_key)
    done = run("many_calls.py")
    assert done.returncode == 1
    assert done.stderr.startswith("Run this again when the cause is gone:\n")
    assert done.stderr.count("PermissionDeniedError: POST /target-materials/layers/") == 4
    lines = done.stderr.splitlines()
    assert {"sample 42", "sample 44", "sample 45", "sample 46"} <= {*lines}


def test_many_calls_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATOMSCALE_API_KEY")
    done = run("many_calls.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ConfigurationError: " in done.stderr


@pytest.mark.usefixtures("odd_samples")
def test_the_workers_of_a_cluster_check_the_stacks() -> None:
    first, *lines = shown("dask_cluster.py").splitlines()
    assert first.startswith("15 samples for 2 workers, each with a copy of <Client base_url=")
    assert sorted(int(line.split()[0]) for line in lines) == [*range(42, 57)]
    assert "47 GaAs(001)/Al0.3Ga0.7As(001)/GaAs(001)/GaAs: fits" in lines
    assert [line[:19] for line in lines if not line.endswith(": fits")] == ["56 Unobtainium/GaSb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebooks_are_clean(path: Path) -> None:
    notebook = nbformat.read(path, nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert [(cell.outputs, cell.execution_count, cell.metadata) for cell in code] == [
        ([], None, {})
    ] * len(code)
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert path.read_text("utf-8") == nbformat.writes(notebook) + "\n"


def outputs(name: str) -> dict[str, dict[str, Any]]:
    """What the cells of a notebook show: by the cell's id, and by MIME type."""
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", 4)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    assert Sandbox.api_key not in nbformat.writes(notebook)
    return {cell.id: data_of(cell) for cell in notebook.cells if cell.cell_type == "code"}


def data_of(cell: Any) -> dict[str, Any]:
    """The text of HTML stands there without its tags and styles."""
    data: dict[str, Any] = {"text/plain": ""}
    for each in cell.outputs:
        assert each.get("name") != "stderr", each.text
        data |= each.get("data", {})
        data["text/plain"] += each.get("text", "")
    html = re.sub("(?s)<style>.*?</style>", "", data.get("text/html", ""))
    return {**data, "text/html": re.sub("<[^>]+>", "", html)}


@pytest.mark.usefixtures("odd_samples")
def test_the_notebook_of_a_campaign() -> None:
    cells = outputs("campaign")
    assert "LAO/STO two-dimensional electron gas" in cells["read"]["text/html"]
    assert "Al0.3Ga0.7As(001)" in cells["stack"]["text/html"]
    assert "(0, 0, 1)\n0.15\n" in cells["layer"]["text/plain"]
    first, second = cells["check"]["text/plain"].splitlines()
    assert first == "42: no layer at [2-3]"
    assert second.startswith("56: 1: Unobtainium: composition_string")
    assert b64decode(cells["picture"]["image/png"]).startswith(PNG)
    assert Path("campaign.png").read_bytes().startswith(PNG)


def test_the_notebook_of_a_declared_stack() -> None:
    cells = outputs("declared_stack")
    assert "AlSb(001)" in cells["declare"]["text/html"]
    lines = ["3: GaSb(001): to add", "2: AlSb(001): to add", "1: InAs(001): to add"]
    assert cells["look"]["text/plain"].splitlines() == [*lines, "substrate: GaSb"]
    done = [line.replace("to add", "added") for line in reversed(lines)]
    assert cells["ensure"]["text/plain"].splitlines() == done
    assert cells["nothing"]["text/plain"] == "to do: False ['present', 'present', 'present']\n"
    assert "InAs on GaSb, planned, sample 56" in cells["end"]["text/html"]


def test_the_notebook_of_compositions() -> None:
    cells = outputs("compositions")
    assert "element_dict.Ba" in cells["read"]["text/html"]
    assert "0.06" in cells["divide"]["text/html"]
    assert re.search(r"^Ga +5$", cells["count"]["text/plain"], re.MULTILINE)
    assert re.search(r"^Si +2024-01-15", cells["latest"]["text/plain"], re.MULTILINE)
    assert cells["plan"]["text/plain"].startswith("12: GaAs(001): to add\n11: AlAs(001): to add\n")


def test_the_table_names_every_example() -> None:
    page = (EXAMPLES / "README.md").read_text("utf-8")
    named = set(re.findall(r"\]\(([^)]+)\)", page)) - {"../README.md"}
    assert named == {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb")}
