"""Makes `generated/` of `openapi.yaml`, whole or not at all.

    python tools/generate.py            write generated/ anew
    python tools/generate.py --check    say in what generated/ differs from what the spec gives

The generator fails open: it leaves things out and exits 0. So the package is made beside, checked,
and only then swapped in; what fails leaves the tree as it was.
"""

import argparse
import ast
import importlib.metadata
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

SPEC = Path("openapi.yaml")
PACKAGE = "atomscale_target_materials_api"
HOME = Path("generated")
STAMP = Path("build/generated.stamp")
BIN = str(Path(sys.executable).parent)
RESERVED = {"additional_properties", "additional_keys", "to_dict", "from_dict", "field_dict"}
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}

PROBE = """
import importlib, pkgutil, sys, typing
sys.path.insert(0, sys.argv[1])
import atomscale_target_materials_api as package
assert package.__file__.startswith(sys.argv[1]), package.__file__
from atomscale_target_materials_api import models
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    loaded = importlib.import_module(module.name)
    for name in ("_get_kwargs", "_parse_response"):
        if hasattr(loaded, name):
            typing.get_type_hints(getattr(loaded, name), localns=vars(models))
for name in models.__all__:
    typing.get_type_hints(getattr(models, name), localns=vars(models))
"""


class Refusal(Exception):  # noqa: N818 - a message to who typed make
    """Why nothing was generated."""


def main() -> None:
    """Generates or checks; a refusal is one message and exit status 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    Path("build").mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir="build", prefix="generate-") as folder:
            made = generate(Path(folder))
            if options.check:
                compare(made)
            else:
                swap(made)
    except Refusal as refusal:
        sys.exit(f"{refusal}")


def generate(folder: Path) -> Path:
    """A checked `generated/` in `folder`."""
    check_tools()
    spec = load_spec()
    made = folder / "generated"
    package = made / PACKAGE
    made.mkdir()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--path", str(SPEC)),
            *("--config", "generator-config.yml", "--meta", "none", "--fail-on-warning"),
            *("--custom-template-path", "overrides/templates", "--output-path", str(package)),
        ],
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refusal(f"the generator cannot make all of {SPEC}:\n{done.stdout}{done.stderr}")
    (package / "py.typed").touch()
    (package / "openapi.json").write_text(json.dumps(spec, indent=1) + "\n", "utf-8")
    check_operations(spec, package)
    check_imports(made)
    return made


def check_tools() -> None:
    """The tools that decide over each byte are the ones that `pyproject.toml` pins."""
    groups = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["dependency-groups"]["dev"]
    pins = dict(pin.split("==") for pin in groups if isinstance(pin, str) and "==" in pin)
    for tool in ("openapi-python-client", "ruff"):
        found = importlib.metadata.version(tool)
        if found != pins[tool]:
            raise Refusal(f"{tool} {found} is installed, {pins[tool]} is pinned: type 'make env'")


def load_spec() -> Any:
    """The spec, valid; else where it is not."""
    place = ""
    try:
        spec = YAML(typ="safe").load(SPEC.read_text("utf-8"))
        check_spec(spec)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = f"{error.problem or error.context}".split("\n", maxsplit=1)[0]
    except (YAMLError, UnicodeDecodeError) as error:
        problem = str(error)
    except RecursionError:
        problem = "an anchor holds itself"
    else:
        return spec
    raise Refusal(f"{SPEC}{place}: {problem}")


def check_spec(spec: Any) -> None:
    """Every `$ref` leads somewhere, and the whole is valid OpenAPI 3.1."""
    there = {pointer(place) for place, _ in walk(spec, ())}
    for place, value in walk(spec, ()):
        fault = fault_of(place, value, there)
        if fault:
            raise Refusal(f"{SPEC}: {pointer(place)}: {fault}")
    for error in OpenAPIV31SpecValidator(spec).iter_errors():
        # The validator tells the place within a schema, not within the spec: so look for it.
        tail = tuple(getattr(error, "absolute_path", ()))
        places = (
            place
            for place, value in walk(spec, ())
            if place[len(place) - len(tail) :] == tail and value == error.instance
        )
        raise Refusal(f"{SPEC}: {pointer(next(places, tail))}: {error.message}")


def fault_of(place: tuple[Any, ...], value: Any, there: set[str]) -> str | None:
    """What YAML allows and JSON does not, and what the generator gets wrong without a word."""
    last, parent = (None, None, *place)[-1], (None, None, *place)[-2]
    is_parameter = isinstance(value, dict) and "in" in value and "name" in value
    is_path = value_of(value, "in") in ("path", "header")
    faults = {
        "a key that is no text: put it into quotes": not isinstance(last, str | int | None)
        or (isinstance(last, int) and parent in ("responses", "properties")),
        f"{value!r} is no JSON value: put it into quotes": not is_json(value),
        f"nothing is at {value!r}": last == "$ref"
        and isinstance(value, str)
        and parent != "properties"
        and value not in there,
        f"a property cannot be called {last!r}: the generated models need that name": (
            parent == "properties" and last in RESERVED
        ),
        "the generator leaves out what a path item has by $ref: write it here": (
            parent == "paths" and value_of(value, "$ref") is not None
        ),
        "the generator reads one media type of an answer alone": (
            parent == "responses"
            and str(last).startswith("2")
            and len(value_of(value, "content") or ()) > 1
        ),
        "the generator knows no other style or explode than the default": is_parameter
        and (
            value_of(value, "style") not in (None, "simple" if is_path else "form")
            or value_of(value, "explode") not in (None, not is_path)
        ),
    }
    return next((fault for fault, found in faults.items() if found), None)


def value_of(value: Any, name: str) -> Any:
    """A member of an object; None where there is none."""
    return value.get(name) if isinstance(value, dict) else None


def is_json(value: Any) -> bool:
    """Is this, its members aside, a value that JSON has?"""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int | bool | dict | list)


def walk(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Each value of a document with its place."""
    yield place, value
    members: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for key, member in members:
        yield from walk(member, (*place, key))


def pointer(place: tuple[Any, ...]) -> str:
    """A place as a JSON pointer."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in place)
    return "#/" + "/".join(steps)


def check_operations(spec: Any, package: Path) -> None:
    """Each operation of the spec has a module: the generator may leave one out in silence."""
    found = {call for module in package.glob("api/*/*.py") for call in calls_of(module)}
    for path, item in spec["paths"].items():
        for method in METHODS & item.keys():
            if (method, unnamed(path)) not in found:
                name = item[method].get("operationId", f"{method} {path}")
                raise Refusal(
                    f"{SPEC}: {pointer(('paths', path, method))}: the generator left {name!r} out "
                    "(is its operationId too like that of another operation?)"
                )


def calls_of(module: Path) -> Iterator[tuple[str, str]]:
    """Method and path that a generated operation module calls."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Dict) and "'method'" in ast.unparse(node):
            method, url, *_ = (ast.unparse(value) for value in node.values)
            yield ast.literal_eval(method), unnamed(ast.literal_eval(url.split(".format(")[0]))


def unnamed(path: str) -> str:
    """A path without the names of its parameters, which the generator changes."""
    return re.sub(r"\{.*?\}", "{}", path)


def check_imports(made: Path) -> None:
    """The package imports, and its type hints resolve: the client decodes by them."""
    done = subprocess.run(
        [sys.executable, "-B", "-I", "-c", PROBE, str(made.resolve())],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refusal(f"what the generator made of {SPEC} does not import:\n{done.stderr}")


def swap(made: Path) -> None:
    """Puts `made` where `generated/` was; what interrupts it leaves the one or the other."""
    old = made.with_name("old")
    try:
        if HOME.exists():
            HOME.rename(old)
        made.rename(HOME)
    finally:
        if not HOME.exists():
            old.rename(HOME)
    files = " ".join(path.as_posix() for path in sorted(HOME.rglob("*")) if path.is_file())
    # For make: what was made, so that a file that changes or goes is made anew.
    STAMP.with_suffix(".d").write_text(f"{STAMP}: {files}\n{files}:\n", "utf-8")
    STAMP.touch()
    print(f"{HOME} is what {SPEC} gives")


def compare(made: Path) -> None:
    """Refuses when `generated/` is not byte for byte what was just made."""
    here, there = files_of(HOME), files_of(made)
    same_spec = here.get(f"{PACKAGE}/openapi.json") == there[f"{PACKAGE}/openapi.json"]
    reason = "was changed by hand" if same_spec else f"is not what {SPEC} gives now"
    faults = [f"generated/{name} is missing" for name in there if name not in here]
    faults += [f"generated/{name} does not belong there" for name in here if name not in there]
    faults += [f"generated/{name} {reason}" for name in there if here.get(name, b"") != there[name]]
    if faults:
        STAMP.unlink(missing_ok=True)
        raise Refusal("\n".join([*faults, "type 'make generate' and commit what it writes"]))
    print(f"generated/ is what {SPEC} gives")


def files_of(folder: Path) -> dict[str, bytes]:
    """Name -> content of the files in a folder, Python's caches left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


if __name__ == "__main__":
    main()
