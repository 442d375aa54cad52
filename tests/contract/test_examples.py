"""The documented examples: valid in the spec, and read as the models that are meant."""

import json
from typing import Any

import jsonschema_rs
import pytest

from atomscale_target_materials._codec import read
from atomscale_target_materials.sandbox._contract import load_spec
from atomscale_target_materials_api.models import Layer, LayerCreate, TargetMaterial

SPEC = load_spec()
GET = SPEC["paths"]["/target-materials/"]["get"]
POST = SPEC["paths"]["/target-materials/layers/"]["post"]

# The documented examples, copied from the API reference, A1 and A2.
ROWS = json.loads("""
[{"id": 42, "sample_id": 42, "sample_name": "BaTiO3 on Si", "substrate": "Si", "layer_id": 1,
  "composition_string": "BaTiO3", "element_dict": {"Ba": 1, "Ti": 1, "O": 3}, "orientation": "001",
  "space_group": "P4mm", "mp_id": "mp-5020", "detail_notes_id": null, "detail_note_content": null,
  "sample_metadata": {}, "user_id": "user_abc123", "user_name": "Jane Researcher",
  "version": "0.269.1", "last_updated": "2024-01-15T11:00:00Z"}]
""")
BODY = json.loads(
    '{"layer_id": 1, "sample_id": 42, "composition_string": "BaTiO3", "orientation": "001"}'
)
ADDED = json.loads("""
{"id": 100, "layer_id": 1, "sample_id": 42, "composition_string": "BaTiO3",
 "element_dict": {"Ba": 1, "Ti": 1, "O": 3}, "orientation": "001", "space_group": "P4mm",
 "mp_id": "mp-5020"}
""")


@pytest.mark.parametrize(
    ("example", "model", "declared"),
    [
        pytest.param(ROWS[0], TargetMaterial, GET["responses"]["200"], id="A1"),
        pytest.param(BODY, LayerCreate, POST["requestBody"], id="A2 body"),
        pytest.param(ADDED, Layer, POST["responses"]["200"], id="A2 answer"),
        pytest.param(ADDED, Layer, POST["responses"]["201"], id="A2 answer, 201"),
    ],
)
def test_the_documented_examples(example: Any, model: Any, declared: dict[str, Any]) -> None:
    ref = {"$ref": f"#/components/schemas/{model.__name__}"}
    jsonschema_rs.validate({**ref, "components": SPEC["components"]}, example)
    decoded = model.from_dict(example)
    assert decoded == read(model, json.dumps(example).encode())
    assert not getattr(decoded, "additional_properties", {})
    sent = json.loads(json.dumps(decoded.to_dict()).replace("+00:00", "Z"))
    assert sent == example
    content = declared["content"]["application/json"]
    is_list = content["schema"].get("type") == "array"
    assert content["schema"] == ({"type": "array", "items": ref} if is_list else ref)
    assert content["example"] == ([example] if is_list else example)
