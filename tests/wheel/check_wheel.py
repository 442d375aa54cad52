"""Installs a wheel alone in an empty environment and uses it against the sandbox.

Run by `make wheel`, and by CI on every system: `python tests/wheel/check_wheel.py`, after
`hatchling build`.
"""

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from atomscale_target_materials.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
NEEDED = {
    "atomscale_target_materials/__init__.py",
    "atomscale_target_materials/py.typed",
    "atomscale_target_materials_api/openapi.json",
    "atomscale_target_materials_api/py.typed",
}
USE = """
import asyncio, importlib, importlib.metadata, importlib.util, sys
import atomscale_target_materials as package
assert "httpx" not in sys.modules, "importing the package imported httpx"
assert "site-packages" in package.__file__, package.__file__
for extra in ("starlette", "uvicorn", "jsonschema_rs", "pytest"):
    assert importlib.util.find_spec(extra) is None, f"{extra} is installed: the test proves nothing"

with package.Client() as client:
    stacks = client.list_target_materials().stacks()
    assert str(stacks[0]) == "BaTiO3(001)/Si", stacks[0]
    layer = client.add_layer(layer_id=2, sample_id=42, composition_string="SrTiO3")
    assert layer.space_group == "Pm-3m", layer

async def main():
    async with package.AsyncClient() as client:
        stack = (await client.list_target_materials()).stack(42)
        assert str(stack) == "SrTiO3/BaTiO3(001)/Si", stack

asyncio.run(main())
assert package.__version__ == importlib.metadata.version("atomscale-target-materials")

def needs(extra, use):
    try:
        use()
    except ImportError as error:
        assert f"atomscale-target-materials[{extra}]" in str(error), error
    else:
        raise AssertionError(f"it works without the extra {extra}")

with package.Client() as client:
    materials = client.list_target_materials()
assert "BaTiO" in materials._repr_html_()
needs("sandbox", lambda: importlib.import_module("atomscale_target_materials.sandbox"))
needs("yaml", lambda: package.LayerStack.from_file(sys.argv[1]))
needs("pandas", materials.to_pandas)
needs("polars", materials.to_polars)
needs("arrow", materials.to_arrow)
needs("plot", materials.plot)
needs("materials", materials.stack(42).check)
print("wheel:", package.__version__, "on Python", sys.version.split()[0], "works")
"""
ROOM = """
import sys
from atomscale_target_materials import Client, LayerStack, layers_from_frame
assert not {{"pandas", "polars", "pyarrow", "matplotlib", "pymatgen", "yaml"}} & {{*sys.modules}}
with Client() as client:
    materials = client.list_target_materials()
stack = materials.stack(42)
{use}
print("wheel:", "{extra}", "works")
"""
TABLE = "table = materials.to_{0}()\nassert len(layers_from_frame(table[:1])) == 1"
ROOMS = {
    "pandas": TABLE.format("pandas"),
    "polars": TABLE.format("polars"),
    "arrow": TABLE.format("arrow"),
    "plot": "materials.plot().figure.savefig(sys.argv[1] + '.png')",
    "materials": "assert stack.check() == () and stack.layers[0].composition['Ba'] == 1",
    "yaml": "assert len(LayerStack.from_file(sys.argv[1]).layers) == 1",
}


def run(*command: str | Path, **environment: str) -> None:
    """Runs a command; its failure is ours."""
    subprocess.run([*map(str, command)], check=True, cwd=ROOT, env={**os.environ, **environment})


def main() -> None:
    """Looks inside, installs, uses."""
    [wheel] = (ROOT / "dist").glob("*.whl")
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        names = set(zipfile.ZipFile(wheel).namelist())
        assert names >= NEEDED, NEEDED - names
        roots = {name.split("/")[0].split("-")[0] for name in names}
        assert roots == {
            "atomscale_target_materials",
            "atomscale_target_materials_api",
        }, roots

        (here / "stack.yaml").write_text("layers: [{composition_string: InAs}]", "utf-8")
        with Sandbox() as sandbox:
            use(here, wheel, "", USE, sandbox)
            for extra, room in ROOMS.items():
                use(here, wheel, f"[{extra}]", ROOM.format(extra=extra, use=room), sandbox)


def use(here: Path, wheel: Path, extra: str, code: str, sandbox: Sandbox) -> None:
    """Runs code where nothing is installed but the wheel and one extra."""
    venv.create(here / "venv", clear=True)
    python = here / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = "-m", "uv", "pip", "install", "--quiet", "--python", python
    run(sys.executable, *install, f"atomscale-target-materials{extra} @ {wheel.as_uri()}")
    key, url = sandbox.api_key, sandbox.base_url
    told = {"ATOMSCALE_API_KEY": key, "ATOMSCALE_API_ENDPOINT": url, "MPLBACKEND": "Agg"}
    run(python, "-I", "-W", "error", "-c", code, here / "stack.yaml", **told)


if __name__ == "__main__":
    main()
