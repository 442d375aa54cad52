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
import asyncio, importlib.metadata, importlib.util, sys
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
try:
    import atomscale_target_materials.sandbox
except ImportError as error:
    assert "atomscale-target-materials[sandbox]" in str(error), error
else:
    raise AssertionError("the sandbox works without its extra")
assert package.__version__ == importlib.metadata.version("atomscale-target-materials")
print("wheel:", package.__version__, "on Python", sys.version.split()[0], "works")
"""


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

        venv.create(here / "venv", with_pip=False)
        scripts = "Scripts" if os.name == "nt" else "bin"
        python = here / "venv" / scripts / "python"
        run(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, wheel)
        with Sandbox() as sandbox:
            run(
                python,
                "-I",
                "-W",
                "error",
                "-c",
                USE,
                ATOMSCALE_API_KEY=sandbox.api_key,
                ATOMSCALE_API_ENDPOINT=sandbox.base_url,
            )


if __name__ == "__main__":
    main()
