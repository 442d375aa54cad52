import ast
import copy
import json
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2
import pytest
import yaml

from atomscale_target_materials_api import models
from atomscale_target_materials_api.models import Error, Layer, LayerCreate, TargetMaterial
from atomscale_target_materials_api.types import UNSET, Unset

from .contract.test_examples import ADDED, ROWS

ROOT = Path(__file__).parent.parent
GENERATED = ROOT / "generated" / "atomscale_target_materials_api"
OUR_TEMPLATE = ROOT / "overrides" / "templates" / "types.py.jinja"
ITS_TEMPLATE = files("openapi_python_client") / "templates" / "types.py.jinja"

SPEC: dict[str, Any] = json.loads((GENERATED / "openapi.json").read_bytes())
SCHEMAS: dict[str, dict[str, Any]] = SPEC["components"]["schemas"]
GET = SPEC["paths"]["/target-materials/"]["get"]
POST = SPEC["paths"]["/target-materials/layers/"]["post"]


def pickled(protocol: int) -> Callable[[Any], Any]:
    return lambda value: pickle.loads(pickle.dumps(value, protocol))


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": pickled(n) for n in range(pickle.HIGHEST_PROTOCOL + 1)},
}
each_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


def test_there_is_one_unset() -> None:
    assert Unset() is UNSET
    assert not UNSET
    assert repr(UNSET) == "UNSET"


@each_copy
def test_unset_survives(copied: Callable[[Any], Any]) -> None:
    assert copied(UNSET) is UNSET


@pytest.mark.parametrize(
    "model",
    [
        TargetMaterial(id=1, sample_id=2),
        TargetMaterial.from_dict({**ROWS[0], "run": {"deep": [1, None]}}),
        Layer(id=1, layer_id=2),
        Layer.from_dict(ADDED),
        LayerCreate(layer_id=1, sample_id=None),
        Error(),
    ],
    ids=lambda model: type(model).__name__,
)
@each_copy
def test_models_survive(model: Any, copied: Callable[[Any], Any]) -> None:
    again = copied(model)
    assert again is not model
    assert again == model
    assert again.to_dict() == model.to_dict()
    json.dumps(again.to_dict())


def test_the_generators_own_unset_is_still_lost_in_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = ModuleType("theirs")
    monkeypatch.setitem(sys.modules, "theirs", theirs)
    exec(jinja2.Template(ITS_TEMPLATE.read_text("utf-8")).render(), vars(theirs))
    unset = theirs.UNSET
    survives = [copied(unset) is unset for copied in COPIES.values()]
    mended = all(survives) and repr(unset) == "UNSET"
    assert not mended, "the generator has mended it: delete overrides/templates/types.py.jinja"


def test_our_template_differs_from_the_generators_in_the_unset_class_alone() -> None:
    def without_unset(template: str) -> str:
        text, count = re.subn(r"class Unset:.*?\n(?=\S)", "", template, flags=re.DOTALL)
        assert count == 1
        return text

    comment, _, ours = OUR_TEMPLATE.read_text("utf-8").partition("-#}\n")
    assert comment.startswith("{#-")
    assert without_unset(ours) == without_unset(ITS_TEMPLATE.read_text("utf-8"))


def test_no_other_template_is_ours() -> None:
    assert [path.name for path in OUR_TEMPLATE.parent.iterdir()] == ["types.py.jinja"]


def test_the_spec_is_shipped() -> None:
    assert yaml.safe_load((ROOT / "openapi.yaml").read_bytes()) == SPEC


def test_nothing_else_is_in_generated() -> None:
    top = GENERATED.parent
    kept = [path for path in top.rglob("*") if "__pycache__" not in path.parts and path.is_file()]
    others = {str(path.relative_to(top)) for path in kept if path.suffix != ".py"}
    assert others == {f"{GENERATED.name}/openapi.json", f"{GENERATED.name}/py.typed"}
    assert (GENERATED / "py.typed").read_bytes() == b""
    folders = {str(path.parent.relative_to(GENERATED)) for path in kept}
    assert folders == {".", "api", "api/target_materials", "models"}


def test_generated_imports_nothing_of_ours() -> None:
    for path in GENERATED.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert "atomscale_target_materials" not in {name.split(".")[0] for name in names}, path


def test_the_operations() -> None:
    assert SPEC["openapi"] == "3.1.0"
    assert [server["url"] for server in SPEC["servers"]] == [
        "https://api.atomscale.ai", "http://127.0.0.1:8000",
    ]  # fmt: skip
    assert GET["operationId"] == "list_target_materials"
    assert POST["operationId"] == "add_target_material_layer"
    assert GET["tags"] == POST["tags"] == [each["name"] for each in SPEC["tags"]]
    assert SPEC["tags"][0]["name"] == "target-materials"
    scheme = SPEC["components"]["securitySchemes"]["ApiKey"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "X-API-KEY")
    assert SPEC["security"] == [{"ApiKey": []}]
    assert not any("security" in operation for operation in (GET, POST))
    assert POST["requestBody"]["required"] is True


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    *_, section, name = node["$ref"].split("/")
    return resolved(SPEC["components"][section][name])


def reachable(node: Any) -> Iterator[str]:
    """The names of all schemas that are used in a part of the spec."""
    todo: list[Any] = [node]
    seen: set[str] = set()
    while todo:
        part = todo.pop()
        if isinstance(part, dict) and part.get("$ref") not in {None, *seen}:
            seen.add(part["$ref"])
            todo.append(resolved(part))
        todo += part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
    return (ref.rpartition("/")[2] for ref in seen if ref.startswith("#/components/schemas/"))


@pytest.mark.parametrize(
    ("operation", "successes", "failures"),
    [
        pytest.param(GET, {"200"}, {"401", "403", "404", "422", "429", "500"}, id="list"),
        pytest.param(
            POST, {"200", "201"}, {"401", "403", "404", "409", "422", "429", "500"}, id="add"
        ),
    ],
)
def test_no_success_uses_error(
    operation: dict[str, Any], successes: set[str], failures: set[str]
) -> None:
    answers = operation["responses"]
    assert answers.keys() == successes | failures
    for status in failures:
        content = resolved(answers[status])["content"]
        assert content == {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for status in successes:
        schemas = {*reachable(answers[status])}
        assert "Error" not in schemas
        assert schemas & {"TargetMaterial", "Layer"}


FIELDS = {
    "TargetMaterial": [*ROWS[0]],
    "Layer": [*ADDED],
    "LayerCreate": [*ADDED],
    "Error": ["detail"],
}


def test_the_schemas() -> None:
    helpers = {"ElementDict", "ElementDictCreate", "SampleMetadata"}
    assert SCHEMAS.keys() >= FIELDS.keys() | helpers
    assert {*models.__all__} == {*SCHEMAS}
    for name, fields in FIELDS.items():
        assert {*SCHEMAS[name]["properties"]} >= {*fields}
    required = {name: SCHEMAS[name].get("required", []) for name in [*FIELDS, *helpers]}
    assert required.pop("TargetMaterial") == ["id", "sample_id"]
    assert required.pop("Layer") == ["id", "layer_id"]
    assert required.pop("LayerCreate") == ["layer_id"]
    assert not any(required.values())
    closed = [name for name in [*FIELDS, *helpers] if not SCHEMAS[name]["additionalProperties"]]
    assert closed == ["LayerCreate"]


def is_nullable(schema: dict[str, Any]) -> bool:
    return "null" in schema.get("type", []) or {"type": "null"} in schema.get("anyOf", [])


def test_what_is_not_required_may_be_null() -> None:
    for name in ("TargetMaterial", "Layer", "LayerCreate"):
        schema = SCHEMAS[name]
        fixed = {field for field, each in schema["properties"].items() if not is_nullable(each)}
        assert fixed == {*schema["required"]}


@pytest.mark.parametrize("name", FIELDS)
def test_every_documented_field_names_its_section_of_the_reference(name: str) -> None:
    for field in FIELDS[name]:
        schema = SCHEMAS[name]["properties"][field]
        description = schema.get("description", "")
        assert re.search(r"\w.* \((A1|A2|B)(, B)?\)", description, re.DOTALL), (field, description)


PERIODIC_TABLE = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb
Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf
Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""


def test_what_may_be_sent_as_elements() -> None:
    elements = SCHEMAS["ElementDictCreate"]
    assert elements["propertyNames"]["enum"] == PERIODIC_TABLE.split()
    assert len(elements["propertyNames"]["enum"]) == 118
    assert elements["additionalProperties"] == {"type": "number", "minimum": 0, "maximum": 1e300}
    assert SCHEMAS["ElementDict"]["additionalProperties"] == {"type": "number"}
    assert "propertyNames" not in SCHEMAS["ElementDict"]


def test_each_status_is_named() -> None:
    # With `default` or `2XX` an undocumented success could not be told from a documented one.
    for item in SPEC["paths"].values():
        for operation in item.values():
            assert all(status.isdigit() for status in operation["responses"])
