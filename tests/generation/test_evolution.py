"""The spec changes as a person would change it; no hand-written line does.

Each test runs the real `make generate` on a copy of this repository and uses the result over HTTP.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from ..server import answer
from .project import Project, Used

ROW = {"id": 1, "sample_id": 2}

# Where people add: behind a field of the list entry, a schema, an operation.
FIELD = """\
        sample_name:
          type: [string, "null"]
          description: Name of the sample. (A1)
"""
SCHEMAS = "  schemas:\n"
PATHS = "paths:\n"
API = "from atomscale_target_materials_api.api.target_materials import "

ANSWERS = """\
      responses:
        "200":
          description: Done.
          content: {application/json: {schema: {$ref: "#/components/schemas/Layer"}}}
        "401": {$ref: "#/components/responses/Unauthorized"}
        "500": {$ref: "#/components/responses/InternalServerError"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.copy_to(tmp_path / "copy")


def evolved(project: Project, *edits: tuple[str, str]) -> Project:
    done = project.edit(*edits).make()
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def with_field(project: Project, fields: str, schemas: str = "") -> Project:
    indented = "".join(f"        {line}\n" for line in fields.splitlines())
    return evolved(project, (SCHEMAS, SCHEMAS + schemas), (FIELD, FIELD + indented))


def listed(project: Project, shown: str, good: dict[str, Any], bad: dict[str, Any]) -> Used:
    """Lists a row with these fields, and then one that does not fit."""
    return project.use(
        "row = client.list_target_materials()[0]\n"
        "bad = refused(client.list_target_materials)\n"
        f"show(bad=bad, {shown})",
        answer(200, [{**ROW, **good}]),
        answer(200, [{**ROW, **bad}]),
    )


# Fields of answers


def test_a_new_optional_field(project: Project) -> None:
    with_field(project, 'evolved_temperature: {type: [number, "null"]}')
    used = listed(
        project,
        "value=row.evolved_temperature, rest=row.additional_properties",
        {"evolved_temperature": 650.5, "other": 1},
        {"evolved_temperature": "hot"},
    )
    assert used.shown["value"] == 650.5
    assert used.shown["rest"] == {"other": 1}
    assert "at $[0].evolved_temperature" in used.shown["bad"]
    assert used.lines == ["GET /target-materials/ HTTP/1.1"] * 2


CHAMBER = """\
    EvolvedChamber:
      type: object
      required: [name]
      properties:
        name: {type: string}
        ports: {type: array, items: {type: integer}}
"""


def test_a_new_nested_object(project: Project) -> None:
    with_field(project, 'chamber: {$ref: "#/components/schemas/EvolvedChamber"}', CHAMBER)
    used = listed(
        project,
        "name=row.chamber.name, ports=row.chamber.ports, whole=row.to_dict()",
        {"chamber": {"name": "MBE-2", "ports": [1, 2], "pump": "ion"}},
        {"chamber": {"name": "MBE-2", "ports": [1, "2"]}},
    )
    assert (used.shown["name"], used.shown["ports"]) == ("MBE-2", [1, 2])
    assert used.shown["whole"]["chamber"] == {"name": "MBE-2", "ports": [1, 2], "pump": "ion"}
    assert "at $[0].chamber.ports[1]" in used.shown["bad"]


def test_camel_case_and_keyword_names(project: Project) -> None:
    with_field(project, "evolvedRate: {type: number}\nclass: {type: string}\nfrom: {type: string}")
    sent = {"evolvedRate": 1.5, "class": "oxide", "from": "stock"}
    used = listed(
        project,
        "values=[row.evolved_rate, row.class_, row.from_], whole=row.to_dict()",
        sent,
        {"class": 1},
    )
    assert used.shown["values"] == [1.5, "oxide", "stock"]
    assert used.shown["whole"] == {**ROW, **sent}
    assert "at $[0].class" in used.shown["bad"]


def test_an_enum(project: Project) -> None:
    with_field(project, "phase: {type: string, enum: [amorphous, crystalline]}")
    used = listed(
        project,
        "name=row.phase.name, whole=row.to_dict()",
        {"phase": "crystalline"},
        {"phase": "liquid"},
    )
    assert used.shown["name"] == "CRYSTALLINE"
    assert used.shown["whole"]["phase"] == "crystalline"
    assert "at $[0].phase" in used.shown["bad"]


def test_date_date_time_and_uuid(project: Project) -> None:
    with_field(
        project,
        "day: {type: string, format: date}\nmoment: {type: string, format: date-time}\n"
        "key: {type: string, format: uuid}",
    )
    sent = {
        "day": "2024-01-15",
        "moment": "2024-01-15T11:00:00",
        "key": "12345678-1234-5678-1234-567812345678",
    }
    used = listed(
        project,
        "types=[type(each).__name__ for each in (row.day, row.moment, row.key)],"
        "moment=row.moment, key=row.key",
        sent,
        {"key": "no"},
    )
    assert used.shown["types"] == ["date", "datetime", "UUID"]
    assert used.shown["moment"] == "2024-01-15 11:00:00+00:00"
    assert used.shown["key"] == sent["key"]
    assert "at $[0].key" in used.shown["bad"]


SOURCES = """\
    EvolvedCell:
      type: object
      required: [kind, temperature]
      properties:
        kind: {const: cell}
        temperature: {type: number}
    EvolvedLaser:
      type: object
      required: [kind, fluence]
      properties:
        kind: {const: laser}
        fluence: {type: number}
"""


def test_one_of_two_objects(project: Project) -> None:
    refs = '{$ref: "#/components/schemas/EvolvedCell"}, {$ref: "#/components/schemas/EvolvedLaser"}'
    with_field(project, f"source: {{oneOf: [{refs}]}}", SOURCES)
    source = {"kind": "laser", "fluence": 2, "spot": 1}
    used = listed(
        project,
        "type=type(row.source).__name__, whole=row.to_dict()",
        {"source": source},
        {"source": {"kind": "laser", "fluence": "2"}},
    )
    assert used.shown["type"] == "EvolvedLaser"
    assert used.shown["whole"]["source"] == source
    assert "at $[0].source" in used.shown["bad"]


RECIPE = """\
    EvolvedName:
      type: object
      required: [name]
      properties:
        name: {type: string}
    EvolvedRecipe:
      allOf:
        - $ref: "#/components/schemas/EvolvedName"
        - type: object
          properties:
            steps: {type: integer}
"""


def test_all_of(project: Project) -> None:
    with_field(project, 'recipe: {$ref: "#/components/schemas/EvolvedRecipe"}', RECIPE)
    used = listed(
        project,
        "values=[row.recipe.name, row.recipe.steps]",
        {"recipe": {"name": "r", "steps": 3}},
        {"recipe": {"steps": 3}},
    )
    assert used.shown["values"] == ["r", 3]
    assert "the field 'name' is missing at $[0].recipe" in used.shown["bad"]


EVENT = """\
    EvolvedEvent:
      type: object
      properties:
        text: {type: string}
        before: {type: array, items: {$ref: "#/components/schemas/EvolvedEvent"}}
"""


def test_a_recursive_schema(project: Project) -> None:
    with_field(project, 'history: {$ref: "#/components/schemas/EvolvedEvent"}', EVENT)
    history = {"text": "c", "before": [{"text": "b", "before": [{"text": "a", "x": 1}]}]}
    used = listed(
        project,
        "text=row.history.before[0].before[0].text, whole=row.to_dict()",
        {"history": history},
        {"history": {"before": [{"before": [{"text": 1}]}]}},
    )
    assert used.shown["text"] == "a"
    assert used.shown["whole"]["history"] == history
    assert "at $[0].history.before[0].before[0].text" in used.shown["bad"]


def test_a_field_that_is_renamed(project: Project) -> None:
    evolved(project, ("        user_name:\n", "        owner_name:\n"))
    used = listed(
        project,
        "value=row.owner_name, rest=row.additional_properties",
        {"owner_name": "new", "user_name": "old"},
        {"owner_name": 1},
    )
    assert used.shown["value"] == "new"
    assert used.shown["rest"] == {"user_name": "old"}
    assert "at $[0].owner_name" in used.shown["bad"]


def test_a_type_that_is_changed(project: Project) -> None:
    old = '        version:\n          type: [string, "null"]\n'
    evolved(project, (old, old.replace("string", "integer")))
    used = listed(project, "value=row.version", {"version": 3}, {"version": "0.269.1"})
    assert used.shown["value"] == 3
    assert "Expected `int`, got `str` at $[0].version" in used.shown["bad"]


# What is sent

REQUIRED = """\
      required: [layer_id]
      properties:
"""


def test_a_required_field_of_the_request(project: Project) -> None:
    """What the user of `add_layer` sees: a clear error before anything is sent, and a way."""
    more = REQUIRED.replace("layer_id", "layer_id, evolved_thickness")
    evolved(project, (REQUIRED, more + "        evolved_thickness: {type: number}\n"))
    used = project.use(
        API + "add_target_material_layer\n"
        "error = refused(lambda: client.add_layer(layer_id=1), TypeError)\n"
        "body = LayerCreate(layer_id=1, evolved_thickness=2.5)\n"
        "show(error=error, layer=client.call(add_target_material_layer, body=body).id)",
        answer(201, {"id": 7, "layer_id": 1}),
    )
    assert used.shown == {
        "error": "TypeError: the field 'evolved_thickness' is missing",
        "layer": 7,
    }
    assert [json.loads(body) for body in used.bodies] == [{"layer_id": 1, "evolved_thickness": 2.5}]


def test_an_optional_field_of_the_request(project: Project) -> None:
    more = REQUIRED + '        evolved_thickness: {type: [number, "null"]}\n'
    evolved(project, (REQUIRED, more))
    used = project.use(
        API + "add_target_material_layer\n"
        "from atomscale_target_materials.sandbox import Sandbox\n"
        "body = LayerCreate(layer_id=7, sample_id=42, evolved_thickness=2.5)\n"
        "with Sandbox() as sandbox, Client(sandbox.api_key, base_url=sandbox.base_url) as other:\n"
        "    layer = other.call(add_target_material_layer, body=body)\n"
        "    row = other.list_target_materials().stack(42).at(7).row\n"
        "show(layer=layer.to_dict(), row=row.to_dict())",
        answer(),
    )
    assert used.shown["layer"]["evolved_thickness"] == 2.5
    assert used.shown["row"]["evolved_thickness"] == 2.5


PATCH = """\
  /evolved/layers/{layerRecordId}/:
    patch:
      operationId: updateEvolvedLayer
      tags: [target-materials]
      summary: Update a layer
      parameters:
        - {name: layerRecordId, in: path, required: true, schema: {type: integer}}
        - {name: dryRun, in: query, schema: {type: boolean}}
        - {name: since, in: query, schema: {type: string, format: date}}
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: "#/components/schemas/EvolvedUpdate"}}}
"""
EVOLVED_UPDATE = """\
    EvolvedUpdate:
      type: object
      properties:
        orientation: {type: [string, "null"]}
      additionalProperties: false
"""


def test_a_patch_with_path_and_query_parameters(project: Project) -> None:
    evolved(project, (PATHS, PATHS + PATCH + ANSWERS), (SCHEMAS, SCHEMAS + EVOLVED_UPDATE))
    used = project.use(
        API + "update_evolved_layer as op\n"
        "from atomscale_target_materials_api.models import EvolvedUpdate\n"
        "import datetime\n"
        "body = EvolvedUpdate(orientation='111')\n"
        "day = datetime.date(2024, 1, 15)\n"
        "layer = client.call(op, layer_record_id=7, body=body, dry_run=True, since=day)\n"
        "key = refused(lambda: client.call(op, layer_record_id=7, body=body))\n"
        "try: client.call(op, layer_record_id=7, body=body)\n"
        "except InternalServerError as error: unknown = error.outcome_unknown\n"
        "wrong = refused(lambda: client.call(op, layer_record_id='7', body=body), TypeError)\n"
        "show(type=type(layer).__name__, id=layer.id, key=key, unknown=unknown, wrong=wrong)",
        answer(200, {"id": 7, "layer_id": 1}),
        answer(401, {"detail": "no"}),
        answer(500),
    )
    assert used.lines[0] == ("PATCH /evolved/layers/7/?dryRun=true&since=2024-01-15 HTTP/1.1")
    assert used.bodies[0] == b'{"orientation":"111"}'
    assert len(used.requests) == 3  # a PATCH is not safe to repeat
    assert (used.shown["type"], used.shown["id"], used.shown["unknown"]) == ("Layer", 7, True)
    assert used.shown["key"].startswith("AuthenticationError: PATCH /evolved/layers/7/")
    assert used.shown["wrong"] == "TypeError: layer_record_id: Expected `int`, got `str`"


BATCH = """\
  /evolved/layers/batch/:
    post:
      operationId: add_evolved_layers
      tags: [target-materials]
      summary: Add layers
      requestBody:
        required: true
        content:
          application/json:
            schema: {type: array, items: {$ref: "#/components/schemas/LayerCreate"}}
      responses:
        "200":
          description: Done.
          content:
            application/json:
              schema: {type: array, items: {$ref: "#/components/schemas/Layer"}}
"""


def test_a_body_that_is_an_array(project: Project) -> None:
    evolved(project, (PATHS, PATHS + BATCH))
    used = project.use(
        API + "add_evolved_layers as op\n"
        "layers = client.call(op, body=[LayerCreate(layer_id=1), LayerCreate(layer_id=2)])\n"
        "bad = [LayerCreate(layer_id=1), LayerCreate(layer_id='2')]\n"
        "wrong = refused(lambda: client.call(op, body=bad), TypeError)\n"
        "show(ids=[layer.id for layer in layers], type=type(layers[0]).__name__, wrong=wrong)",
        answer(200, [{"id": 7, "layer_id": 1}, {"id": 8, "layer_id": 2}]),
    )
    assert used.bodies == [b'[{"layer_id":1},{"layer_id":2}]']
    assert used.shown == {
        "ids": [7, 8],
        "type": "Layer",
        "wrong": "TypeError: body[1].layer_id: Expected `int`, got `str`",
    }


DELETE = """\
  /evolved/layers/{record}/:
    delete:
      operationId: delete_evolved_layer
      tags: [target-materials]
      summary: Delete a layer
      parameters:
        - {name: record, in: path, required: true, schema: {type: string}}
      responses:
        "204": {description: Deleted.}
"""
UNAUTHORIZED = '        "401": {$ref: "#/components/responses/Unauthorized"}\n'


@pytest.mark.parametrize("errors", ["", UNAUTHORIZED], ids=["alone", "with errors"])
def test_an_operation_that_answers_204(project: Project, errors: str) -> None:
    evolved(project, (PATHS, PATHS + DELETE + errors))
    used = project.use(
        API + "delete_evolved_layer as op\n"
        "gone = client.call(op, record='a/b')\n"
        "bad = refused(lambda: client.call(op, record='c'))\n"
        "up = refused(lambda: client.call(op, record='..'), ValueError)\n"
        "show(gone=gone, bad=bad, up=up)",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        answer(200, {}),
    )
    assert used.lines[0] == "DELETE /evolved/layers/a%2Fb/ HTTP/1.1"
    assert used.shown["gone"] is None
    assert used.shown["bad"].startswith("APIResponseValidationError")
    assert "not a documented success" in used.shown["bad"]
    assert used.shown["up"] == "ValueError: record: '..' cannot be a part of the path"
