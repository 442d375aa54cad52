import ast
import io
import json
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import atomscale_target_materials

ROOT = Path(__file__).parent.parent
OVERRIDES = ROOT / "overrides" / "atomscale_target_materials"
ROOMS = {"frames.py", "plotting.py", "notebook.py", "chemistry.py"}
CORE = sorted(path for path in OVERRIDES.glob("*.py") if path.name not in ROOMS)
MODULES = sorted(OVERRIDES.rglob("*.py"))
API = "atomscale_target_materials_api"

SILENT = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef

each_module = pytest.mark.parametrize(
    "path", MODULES, ids=[path.relative_to(OVERRIDES).as_posix() for path in MODULES]
)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def span(node: ast.stmt | ast.expr) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def docstrings(tree: ast.AST) -> Iterator[ast.Expr]:
    """Docstrings, and the texts below attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from [node] if isinstance(node.value.value, str) else []


def code_lines(source: str) -> set[int]:
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in SILENT
        for line in range(token.start[0], token.end[0] + 1)
    }
    return lines.difference(*map(span, docstrings(ast.parse(source))))


def functions(tree: ast.AST) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


SAMPLE = '''"""Module.

Two lines."""

import os  # counted


def one(
    x: int,
) -> str:
    """Docstring."""
    # Comment.

    return """a

    b"""
'''


def test_code_lines_are_counted() -> None:
    assert code_lines(SAMPLE) == {5, 8, 9, 10, 14, 15, 16}


def test_the_core_is_thin() -> None:
    assert len(CORE) > 10
    counts = {path.name: len(code_lines(path.read_text("utf-8"))) for path in CORE}
    assert sum(counts.values()) < 1500, counts


@each_module
def test_modules_and_functions_are_short(path: Path) -> None:
    source = path.read_text("utf-8")
    lines = code_lines(source)
    assert len(lines) < 250
    lengths = {each.name: len(lines & {*span(each)}) for each in functions(ast.parse(source))}
    assert {name: length for name, length in lengths.items() if length >= 30} == {}


def run_time_nodes(tree: ast.Module) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING:`."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        guarded = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        todo += node.orelse if guarded and isinstance(node, ast.If) else ast.iter_child_nodes(node)


def imports(path: Path) -> set[str]:
    """What a module imports at run time, with the names that it takes from there."""
    found = set()
    for node in run_time_nodes(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names}
    return found


def importers(*prefixes: str) -> set[str]:
    pattern = re.compile(rf"({'|'.join(map(re.escape, prefixes))})(\.|$)")
    return {
        path.relative_to(OVERRIDES).as_posix()
        for path in MODULES
        if any(map(pattern.match, imports(path)))
    }


def test_httpx_has_its_place() -> None:
    assert importers("httpx", "httpcore") == {
        "_transport.py", "_drivers.py", "client.py",
    }  # fmt: skip


def test_the_clients_use_httpx_for_types_alone() -> None:
    tree = tree_of(OVERRIDES / "client.py")
    annotations = [node.annotation for node in ast.walk(tree) if isinstance(node, ast.arg)]
    annotations += [
        node for each in ast.walk(tree) if isinstance(each, ast.ClassDef) for node in each.bases
    ]
    lines = {line for each in annotations if each for line in span(each)}
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "httpx"]
    assert uses
    assert {node.lineno for node in uses} <= lines


def test_generated_models_have_their_place() -> None:
    homes = {"_codec", "_wire", "_operations", "client", "frames", "stacks"}
    assert importers(f"{API}.models") <= {f"{home}.py" for home in homes} | {"files/__init__.py"}
    assert importers(f"{API}.api") == {"_operations.py"}
    assert importers(f"{API}.client") == set()


def test_private_names_of_generated_code_are_used_in_one_place_each() -> None:
    uses: dict[str, set[str]] = {"_get_kwargs": set(), "_parse_response": set()}
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            names = {getattr(node, "attr", None), getattr(node, "value", None)}
            for name in (name for name in uses if name in {n for n in names if type(n) is str}):
                uses[name].add(path.name)
    assert uses == {"_get_kwargs": {"_operations.py"}, "_parse_response": {"_codec.py"}}


RUNTIME = {"AuthenticatedClient", "sync", "sync_detailed", "asyncio_detailed", "get_httpx_client"}


@each_module
def test_the_generated_runtime_is_never_used(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute):
            assert node.attr not in RUNTIME | {"asyncio"}
        elif isinstance(node, ast.Name):
            assert node.id not in RUNTIME
        elif isinstance(node, ast.ImportFrom):
            assert not RUNTIME & {alias.name for alias in node.names}
            assert not (node.module or "").startswith(f"{API}.client")


@pytest.mark.parametrize("name", ["_codec.py", "_wire.py"])
def test_decoding_names_no_model_and_no_field(name: str) -> None:
    spec = json.loads((ROOT / "generated" / API / "openapi.json").read_bytes())
    schemas = spec["components"]["schemas"]
    known = schemas.keys() - {"Error"}
    known |= {field for each in known for field in schemas[each].get("properties", {})}
    source = (OVERRIDES / name).read_text("utf-8")
    lines = code_lines(source)
    words = {
        word
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.start[0] in lines and token.type in (tokenize.NAME, tokenize.STRING)
        for word in re.findall(r"[\w-]+", token.string)
    }
    assert {"Mismatch", "reader"} & words
    assert words & known == set()


HEAVY = ("httpx", "httpcore", "attrs", "attr", "msgspec", API, "starlette", "uvicorn", "asyncio")


def test_the_import_is_cheap() -> None:
    code = (
        "import sys; before = {*sys.modules}; import atomscale_target_materials as a;"
        "dir(a); a.__all__; a.__doc__; print(*({*sys.modules} - before))"
    )
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "atomscale_target_materials" in loaded
    assert [name for name in loaded if name.partition(".")[0] in HEAVY] == []


PUBLIC = [
    "UNSET", "APIConnectionError", "APIResponseValidationError", "APIStatusError",
    "APITimeoutError", "AsyncClient", "AtomscaleError", "AuthenticationError", "BadRequestError",
    "Client", "ClientClosedError", "ConfigurationError", "ConflictError", "EnsureResult",
    "InternalServerError", "Layer", "LayerCreate", "LayerStack", "LayerStatus", "Misfit",
    "NotFoundError", "PermissionDeniedError", "RateLimitError", "StackDiff", "StackLayer",
    "StackResult", "TargetMaterial", "TargetMaterials", "UnprocessableEntityError", "Unset",
    "layers_from_frame",
]  # fmt: skip


def test_the_public_names_are_pinned() -> None:
    assert atomscale_target_materials.__all__ == PUBLIC
    assert {*PUBLIC, "__version__"} <= {*dir(atomscale_target_materials)}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_there(name: str) -> None:
    vars(atomscale_target_materials).pop(name, None)
    first = getattr(atomscale_target_materials, name)
    assert first is getattr(atomscale_target_materials, name)
    assert name in {"UNSET", getattr(first, "__name__", None)}


def test_every_error_is_public() -> None:
    from atomscale_target_materials import errors

    found = {
        name for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, errors.AtomscaleError)
    }  # fmt: skip
    assert found < {*PUBLIC}


@pytest.mark.parametrize("name", ["Cleint", "errors_", "_HOME"])
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"'atomscale_target_materials' has no .* '{name}'"):
        getattr(atomscale_target_materials, name)


def test_the_version_is_the_distributions() -> None:
    command = [sys.executable, "-m", "hatchling", "metadata", "version"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == atomscale_target_materials.__version__


@each_module
def test_public_things_have_docstrings(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree)
    assert list(undocumented(tree)) == []


def undocumented(scope: ast.Module | ast.ClassDef) -> Iterator[str]:
    for node in scope.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if "overload" in map(ast.unparse, node.decorator_list):
            continue
        if not ast.get_docstring(node):
            yield f"{node.name}:{node.lineno}"
        # What an interface of httpx or httpcore asks for is documented there.
        if isinstance(node, ast.ClassDef) and not any(
            ast.unparse(base).startswith("http") for base in node.bases
        ):
            yield from undocumented(node)


def tracked() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in map(ROOT.joinpath, run.stdout.splitlines()) if path.is_file()]


def test_no_file_names_a_place_of_one_machine() -> None:
    place = re.compile(r"(?<![\w.\-}])/(home|Users|root|work)/")
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in tracked()
        if (match := place.search(path.read_text("utf-8", "replace")))
    }
    assert found == {}


def test_lock_files_name_no_registry() -> None:
    locks = [path for path in tracked() if path.suffix == ".lock"]
    assert {path.name for path in locks} >= {"dev.lock", "demo.lock"}
    for path in locks:
        text = path.read_text("utf-8")
        assert "--hash=sha256:" in text
        assert not re.search(r"https?://|--(extra-)?index[-]url|--find-links", text), path
    others = {"uv.lock", "pylock.toml", "package-lock.json"}
    assert others.isdisjoint(path.name for path in tracked())
