"""What `make diff` says of a change: rule by rule, and as a whole on a copy of this repository."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from ruamel.yaml import YAML

import diff
from spec_changes import spec_changes
from spec_document import Invalid, Spec

from .project import Project


def parsed(text: str) -> Any:
    return YAML(typ="safe").load(text)


SIGNS = {"breaking": "-", "additive": "+", "other": "?"}


def judged(old: Any, new: Any, root: str = "") -> list[str]:
    """The findings: kind, place below `root`, and of what they mean the half before the colon."""
    lines = []
    for kind, where, what in spec_changes(Spec(old), Spec(new)):
        place = where.removeprefix(root).removeprefix(" > ")
        fact = what.partition(": ")[0]
        lines.append(f"{SIGNS[kind]} {place}: {fact}" if place else f"{SIGNS[kind]} {fact}")
    return lines


def spec_with(operation: Any, **schemas: Any) -> Any:
    """A spec of one operation."""
    operation = {"operationId": "op", **operation}
    return {"paths": {"/": {"put": operation}}, "components": {"schemas": schemas}}


def content(schema: Any) -> Any:
    return {"content": {"application/json": {"schema": schema}}}


def sent(schema: Any, **schemas: Any) -> Any:
    return spec_with({"requestBody": content(schema)}, **schemas)


def answered(schema: Any, **schemas: Any) -> Any:
    return spec_with({"responses": {"200": content(schema)}}, **schemas)


# Old and new schema, and what is said when it is sent and when it is answered.
SCHEMAS = [
    # Fields.
    (
        "{properties: {a: {}}}", "{properties: {}}",
        "- a: the field is gone", "- a: the field is gone",
    ),
    ("{properties: {}}", "{properties: {a: {}}}", "+ a: a new optional field", "+ a: a new field"),
    (
        "{properties: {}}", "{properties: {a: {}}, required: [a]}",
        "- a: a new field that is required", "+ a: a new field",
    ),
    (
        "{properties: {a: {}}}", "{properties: {a: {}}, required: [a]}",
        "- a: the field is required now", "+ a: the field is required now",
    ),
    (
        "{properties: {a: {}}, required: [a]}", "{properties: {a: {}}}",
        "+ a: the field is optional now", "- a: the field is optional now",
    ),
    (
        "{properties: {a: {properties: {b: {type: string}}}}}",
        "{properties: {a: {properties: {b: {}}}}}",
        "+ a.b: string became anything", "- a.b: string became anything",
    ),
    # Types.
    ("{type: string}", "{type: integer}", "- string became integer", "- string became integer"),
    (
        "{type: string}", "{type: [string, array]}",
        "+ string became string or array", "- string became string or array",
    ),
    (
        "{anyOf: [{type: string}, {type: array}]}", "{type: string}",
        "- string or array became string", "+ string or array became string",
    ),
    ("{type: integer}", "{type: number}", "+ integer became number", "- integer became number"),
    ("{type: number}", "{type: integer}", "- number became integer", "+ number became integer"),
    ("{}", "{type: string}", "- anything became string", "+ anything became string"),
    ("{properties: {}}", "{items: {}}", "- object became array", "- object became array"),
    # Null.
    ("{type: string}", "{type: [string, 'null']}", "+ can be null now", "- can be null now"),
    (
        "{anyOf: [{type: string}, {type: 'null'}]}", "{type: string}",
        "- can no longer be null", "+ can no longer be null",
    ),
    (
        "{type: [string, 'null'], enum: [a, null]}", "{type: [string, 'null'], enum: [a]}",
        "- can no longer be null", "+ can no longer be null",
    ),
    # Formats: some make another type in Python.
    (
        "{type: string}", "{type: string, format: date-time}",
        "- format none became date-time", "- format none became date-time",
    ),
    (
        "{type: string, format: uuid}", "{type: string}",
        "- format uuid became none", "- format uuid became none",
    ),
    (
        "{type: string}", "{type: string, format: email}",
        "- format none became email", "+ format none became email",
    ),
    (
        "{type: string, format: email}", "{type: string, format: uri}",
        "- format email became uri", "- format email became uri",
    ),
    (
        "{type: integer, format: int32}", "{type: integer, format: int64}",
        "+ format int32 became int64", "- format int32 became int64",
    ),
    # Values.
    ("{enum: [a]}", "{enum: [a, b]}", '+ "b" too from now on', '- "b" too from now on'),
    ("{enum: [a, b]}", "{enum: [a]}", '- no longer "b"', '+ no longer "b"'),
    (
        "{type: string}", "{type: string, enum: [a, b]}",
        '- only "a", "b" from now on', '+ only "a", "b" from now on',
    ),
    (
        "{const: 1}", "{type: integer}",
        "+ not only 1 any more", "- not only 1 any more",
    ),
    # Limits count for what is sent.
    ("{minimum: 1}", "{minimum: 2}", "- minimum 1 became 2", "? minimum 1 became 2"),
    ("{minimum: 2}", "{minimum: 1}", "+ minimum 2 became 1", "? minimum 2 became 1"),
    ("{}", "{maxLength: 9}", "- maxLength none became 9", "? maxLength none became 9"),
    ("{maxLength: 8}", "{maxLength: 9}", "+ maxLength 8 became 9", "? maxLength 8 became 9"),
    ("{maxItems: 9}", "{maxItems: 8}", "- maxItems 9 became 8", "? maxItems 9 became 8"),
    ("{minItems: 1}", "{}", "+ minItems 1 became none", "? minItems 1 became none"),
    ("{pattern: a}", "{pattern: b}", "- pattern a became b", "? pattern a became b"),
    # Other fields.
    (
        "{type: object}", "{type: object, additionalProperties: false}",
        "- other fields are no longer allowed", "- other fields are no longer allowed",
    ),
    (
        "{type: object, additionalProperties: false}", "{type: object, additionalProperties: true}",
        "+ other fields are allowed from now on", "+ other fields are allowed from now on",
    ),
    (
        "{additionalProperties: {type: integer}}", "{additionalProperties: {type: number}}",
        "+ <additionalProperties>: integer became number",
        "- <additionalProperties>: integer became number",
    ),
    (
        "{propertyNames: {enum: [a, b]}}", "{propertyNames: {enum: [a]}}",
        '- <propertyNames>: no longer "b"', '+ <propertyNames>: no longer "b"',
    ),
    # Arrays.
    (
        "{type: array, items: {properties: {a: {}}}}", "{type: array, items: {properties: {}}}",
        "- [].a: the field is gone", "- [].a: the field is gone",
    ),
    # Compositions.
    (
        "{allOf: [{properties: {a: {}}}, {properties: {b: {}}}]}",
        "{allOf: [{properties: {a: {}}}, {properties: {b: {}}}, {required: [a]}]}",
        "- a: the field is required now", "+ a: the field is required now",
    ),
    (
        "{oneOf: [{type: string}, {properties: {a: {}}}]}",
        "{oneOf: [{type: string, minLength: 1}, {properties: {}}]}",
        "- <string>: minLength none became 1\n- <object>.a: the field is gone",
        "? <string>: minLength none became 1\n- <object>.a: the field is gone",
    ),
    # What no rule knows.
    ("{}", "{not: {}}", "- `not` changed", "- `not` changed"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "when_sent", "when_answered"), SCHEMAS)
def test_schemas(old: str, new: str, when_sent: str, when_answered: str) -> None:
    before, after = parsed(old), parsed(new)
    assert judged(sent(before), sent(after), "op > body") == when_sent.splitlines()
    assert judged(answered(before), answered(after), "op > 200") == when_answered.splitlines()


QUERY = "parameters: [{name: a, in: query, schema: {type: string}}]"
REQUIRED = QUERY.replace("query", "query, required: true")
PATH = QUERY.replace("query", "path, required: true")
TEXT = "content: {text/plain: {schema: {type: string}}}"
ARRAY = "content: {text/plain: {schema: {type: array}}}"
CSV = TEXT.replace("plain", "csv")

# Old and new operation, and what is said.
OPERATIONS = [
    # Arguments.
    ("{}", QUERY, "+ query > a: a new optional argument"),
    ("{}", PATH, "- path > a: a new argument that is required"),
    (QUERY, "{}", "- query > a: the argument is gone"),
    (
        QUERY, QUERY.replace("query", "header"),
        "- query > a: the argument is gone\n+ header > a: a new optional argument",
    ),
    (QUERY, REQUIRED, "- query > a: the argument is required now"),
    (REQUIRED, QUERY, "+ query > a: the argument is optional now"),
    (QUERY, QUERY.replace("string", "array"), "- query > a: string became array"),
    (
        f"parameters: [{{name: a, in: query, {TEXT}}}]",
        f"parameters: [{{name: a, in: query, {ARRAY}}}]",
        "- query > a: string became array",
    ),
    # The body.
    ("{}", f"requestBody: {{{TEXT}}}", "+ body: a new optional body"),
    (
        "{}", f"requestBody: {{required: true, {TEXT}}}",
        "- body: a new body that is required",
    ),
    (f"requestBody: {{{TEXT}}}", "{}", "- body: the body is gone"),
    (
        f"requestBody: {{{TEXT}}}", f"requestBody: {{required: true, {TEXT}}}",
        "- body: the body is required now",
    ),
    (
        f"requestBody: {{{TEXT}}}", f"requestBody: {{{CSV}}}",
        "- body: no longer text/plain\n+ body: text/csv too from now on",
    ),
    # Answers that mean success.
    (
        f"responses: {{200: {{{TEXT}}}}}", f"responses: {{200: {{{TEXT}}}, 201: {{{TEXT}}}}}",
        "+ 201: a new success with a known answer",
    ),
    (
        f"responses: {{200: {{{TEXT}}}}}", f"responses: {{200: {{{TEXT}}}, 201: {{{ARRAY}}}}}",
        "- 201: a new success with an answer of another type",
    ),
    (
        f"responses: {{200: {{{TEXT}}}, 201: {{{TEXT}}}}}", f"responses: {{200: {{{TEXT}}}}}",
        "+ 201: no longer answered",
    ),
    (
        f"responses: {{200: {{{TEXT}}}}}", "responses: {204: {}}",
        "+ 200: no longer answered\n- 204: a new success with an answer of another type",
    ),
    (
        "responses: {204: {}}", f"responses: {{200: {{{TEXT}}}}}",
        "+ 204: no longer answered\n- 200: a new success with an answer of another type",
    ),
    (f"responses: {{200: {{{TEXT}}}}}", "responses: {200: {}}", "- 200: it has no body any more"),
    ("responses: {200: {}}", f"responses: {{200: {{{TEXT}}}}}", "- 200: it has a body now"),
    (
        "responses: {204: {}}", "responses: {404: {}}",
        "- 204: gone, and no success is left\n? 404: a new error answer",
    ),
    (
        f"responses: {{200: {{{TEXT}}}}}", f"responses: {{200: {{{CSV}}}}}",
        "+ 200: no longer text/plain\n- 200: text/csv too from now on",
    ),
    # Errors are typed by their status.
    (
        f"responses: {{404: {{{TEXT}}}, 409: {{{TEXT}}}}}",
        f"responses: {{404: {{{ARRAY}}}, 409: {{{ARRAY}}}}}",
        "? 404, 409: string became array",
    ),
    ("responses: {404: {}}", "responses: {}", "? 404: an error answer less"),
    # The first tag names the package of the module.
    ("tags: [a]", "tags: [b, a]", "- the first tag a became b"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), OPERATIONS)
def test_operations(old: str, new: str, said: str) -> None:
    found = judged(spec_with(parsed(old)), spec_with(parsed(new)), "op")
    assert found == said.splitlines()


def test_operations_come_and_go_by_their_names() -> None:
    old, new = spec_with({}), spec_with({"operationId": "po"})
    assert judged(old, new) == [
        "- op: the operation is gone",
        "+ po: a new operation, callable at once through `client.call`",
    ]
    moved = {"paths": {"/b": {"post": {"operationId": "op"}}}}
    assert judged({"paths": old["paths"]}, moved) == ["? op: PUT / became POST /b"]
    unnamed: Any = {"paths": {"/b": {"post": {}}}}
    assert judged(moved, unnamed)[1].startswith("+ POST /b: a new operation")


def test_parameters_of_the_path_are_the_operations() -> None:
    old = spec_with(parsed(QUERY))
    new = spec_with({})
    new["paths"]["/"] |= parsed(QUERY)
    assert judged(old, new) == ["? openapi.yaml: changed, but nothing that is sent or answered"]


@pytest.mark.parametrize("new", ["tags: [a, b]", "{tags: [a], security: []}"])
def test_a_change_that_no_rule_tells_is_told_nevertheless(new: str) -> None:
    before, after = spec_with(parsed("tags: [a]")), spec_with(parsed(new))
    assert [line[0] for line in judged(before, after)] == ["?"]


def test_what_it_means_depends_on_the_side() -> None:
    string, null = {"type": "string"}, {"type": ["string", "null"]}
    texts = [
        spec_changes(Spec(spec(old)), Spec(spec(new)))[0].what
        for spec, old, new in [
            (sent, string, null), (sent, null, string),
            (answered, string, null), (answered, null, string),
        ]
    ]  # fmt: skip
    assert texts == [
        "can be null now",
        "can no longer be null: what was sent so far may be refused",
        "can be null now: code that reads it does not expect that",
        "can no longer be null",
    ]


REF = {"$ref": "#/components/schemas/A~1B"}


def test_a_schema_that_is_used_on_both_sides_gets_both_judgements() -> None:
    def spec(schema: Any) -> Any:
        operation = {"requestBody": content(REF), "responses": {200: content(REF)}}
        return spec_with(operation, **{"A/B": schema})

    found = judged(spec({"properties": {}}), spec({"properties": {"a": {}}, "required": ["a"]}))
    assert found == ["- op > body > a: a new field that is required", "+ op > 200 > a: a new field"]


def test_recursion_ends() -> None:
    def spec(kind: str, loop: Any) -> Any:
        return answered(REF, **{"A/B": {"properties": {"a": {"type": kind}, "next": loop}}})

    # The two go round in circles of one and of two.
    loop = {"anyOf": [REF, {"type": "null"}]}
    inner = {"properties": {"a": {"type": "string"}, "next": loop}}
    old, new = spec("string", loop), spec("array", {"anyOf": [inner, {"type": "null"}]})
    assert judged(old, new) == [
        "- op > 200 > a: string became array", "- op > 200 > next.next.a: string became array",
    ]  # fmt: skip


def test_alternatives_are_told_by_their_names() -> None:
    def spec(*names: str) -> Any:
        refs = [{"$ref": f"#/components/schemas/{name}"} for name in names]
        schemas = {"A": {"properties": {}}, "B": {"properties": {"b": {}}}, "C": {"properties": {}}}
        return answered({"oneOf": refs}, **schemas)

    assert judged(spec("A", "B"), spec("A", "C")) == ["- op > 200: A or B became A or C"]
    assert judged(spec("A"), spec("A", "B")) == ["- op > 200: A became A or B"]
    assert judged(spec("A", "B"), spec("B")) == ["+ op > 200: A or B became B"]
    # One object remains one, whatever it is called.
    assert judged(spec("A"), spec("B")) == ["+ op > 200 > b: a new field"]


def test_texts_change_nothing_for_users() -> None:
    old = spec_with({"summary": "a", "tags": ["t"]}, S={"properties": {"title": {"title": "a"}}})
    new = spec_with({"summary": "b", "tags": ["t"]}, S={"properties": {"title": {"title": "b"}}})
    assert judged({**old, "info": {"version": "1"}}, {**new, "info": {"version": "2"}}) == [
        "? paths > / > put > summary: changed",
        "? components > schemas > S > properties > title > title: changed",
        "? info: changed",
    ]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"$ref": "#/components/none"}, "openapi.yaml: nothing is at $ref '#/components/none'"),
        ({"$ref": "other.yaml#/A"}, "openapi.yaml: nothing is at $ref 'other.yaml#/A'"),
        (7, "openapi.yaml: 7 stands where a mapping belongs"),
        (REF, "openapi.yaml: a $ref or allOf leads back to itself"),
    ],
)
def test_a_spec_that_cannot_be_read(schema: Any, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        judged(sent({}), sent(schema, **{"A/B": REF}))
    assert str(caught.value) == message


def test_an_operation_id_is_given_once() -> None:
    twice = {"paths": {"/a": {"get": {"operationId": "op"}}, "/b": {"get": {"operationId": "op"}}}}
    with pytest.raises(Invalid, match=r"openapi.yaml: two operations have the operationId 'op'"):
        judged(sent({}), twice)


# The whole, on a copy of this repository.

SAMPLE_NAME = """\
        sample_name:
          type: [string, "null"]
          description: Name of the sample. (A1)
"""
LAYER_CREATE = "required: [layer_id]\n      properties:\n"
CLIENT = "overrides/atomscale_target_materials/client.py"


def outside() -> dict[str, str]:
    """The environment without what coverage or a git hook that runs the tests put there."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("COVERAGE", "COV_", "GIT_"))}


@attrs.frozen
class Copy:
    """A repository of its own, whose last commit is what this one has."""

    project: Project

    @property
    def home(self) -> Path:
        return self.project.home

    def git(self, *words: str) -> None:
        who = ["-c", "user.name=T", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
        command = ["git", *who, *words]
        subprocess.run(command, cwd=self.home, env=outside(), check=True, capture_output=True)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.home / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")

    def version(self, version: str) -> None:
        path = self.home / diff.VERSION
        text = path.read_text("utf-8")
        path.write_text(re.sub(r'(?m)^(__version__) = ".*"', rf'\1 = "{version}"', text), "utf-8")

    def diff(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "tools/diff.py", *words]
        return subprocess.run(
            command, cwd=self.home, env=outside(), capture_output=True, text=True, check=False
        )

    def said(self) -> list[str]:
        """What is said of the change since the last commit; text and JSON say the same."""
        done = self.diff("HEAD")
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        told = json.loads((self.home / "build" / "diff.json").read_bytes())
        assert told["base"] == "HEAD"
        assert lines == [
            *(f"{each['kind']:9} {each['where']}: {each['what']}" for each in told["changes"]),
            *(f"reminder  {each}" for each in told["reminders"]),
            f"version bump: {told['bump']}",
        ]
        return lines


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    copy = Copy(Project.copy_to(tmp_path / "copy"))
    copy.git("init", "--quiet")
    copy.git("add", "openapi.yaml", "pyproject.toml", "generated", "overrides", "tools")
    copy.git("commit", "--quiet", "--message", "as it is")
    return copy


def test_nothing_changed(copy: Copy) -> None:
    assert copy.said() == ["version bump: none"]
    assert json.loads((copy.home / "build" / "diff.json").read_bytes()) == {
        "base": "HEAD", "changes": [], "reminders": [], "bump": "none",
    }  # fmt: skip


def test_an_answers_field_is_deleted(copy: Copy) -> None:
    copy.project.edit((SAMPLE_NAME, ""))
    where = "list_target_materials > 200 > [].sample_name"
    assert copy.said() == [
        f"breaking  {where}: the field is gone: code that uses it fails",
        "version bump: major",
    ]


def test_an_answer_gets_an_optional_field(copy: Copy) -> None:
    copy.project.edit((SAMPLE_NAME, SAMPLE_NAME + "        colour: {type: string}\n"))
    assert copy.said() == [
        "additive  list_target_materials > 200 > [].colour: a new field",
        "version bump: minor",
    ]


def test_a_text_changed(copy: Copy) -> None:
    copy.project.edit(("Name of the sample.", "The name."))
    where = "components > schemas > TargetMaterial > properties > sample_name > description"
    assert copy.said() == [
        f"other     {where}: changed: no code of users depends on it",
        "version bump: patch",
    ]


def test_the_worst_comes_first_and_decides(copy: Copy) -> None:
    copy.project.edit(("Name of the sample.", "The name."))
    copy.project.edit(('          type: [string, "null"]', "          type: string"))
    copy.project.edit((LAYER_CREATE, LAYER_CREATE + "        colour: {}\n"))
    copy.project.edit(("operationId: list_target_materials", "operationId: list_all"))
    kinds = [line.split()[0] for line in copy.said()]
    assert kinds == ["breaking", "additive", "additive", "other", "reminder", "version"]


def test_strict_wants_a_version_that_says_so(copy: Copy) -> None:
    copy.version("0.3.1")
    copy.git("commit", "--all", "--message", "0.3.1")
    copy.project.edit((SAMPLE_NAME, ""))
    copy.version("0.3.2")
    done = copy.diff("HEAD", "--strict")
    assert done.returncode == 1
    assert done.stdout.endswith("version bump: major\n")
    assert done.stderr == (
        "make diff: users break, so version 0.4.0 would do; it is 0.3, at HEAD it was 0.3\n"
    )
    copy.version("0.4.0")
    done = copy.diff("HEAD", "--strict")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("was", "wanted"), [((0, 0), (0, 1)), ((0, 9), (0, 10)), ((1, 4), (2, 0)), ((2, 0), (3, 0))]
)
def test_which_version_may_break(was: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert diff.breaking_version(was) == wanted


@pytest.mark.parametrize(
    ("version", "parts"), [("1.2.3", (1, 2)), ("0.10.0rc1", (0, 10)), ("2", (2, 0))]
)
def test_versions_are_read(version: str, parts: tuple[int, int]) -> None:
    assert diff.version_of(f'"A module."\n\n__version__ = "{version}"\n'.encode(), "") == parts


@pytest.mark.parametrize(
    "text", ["", "__version__: str", '__version__ = "next"', ' __version__ = "1"']
)
def test_versions_that_cannot_be_read(text: str) -> None:
    message = f"^{diff.VERSION} at HEAD has no version that can be read$"
    with pytest.raises(diff.Refusal, match=message):
        diff.version_of(text.encode(), " at HEAD")


def test_what_adds_needs_no_version(copy: Copy) -> None:
    copy.project.edit((SAMPLE_NAME, SAMPLE_NAME + "        colour: {type: string}\n"))
    assert copy.diff("HEAD", "--strict").returncode == 0


MP_ID = "mp_id: OptionalStr = UNSET, "


def test_an_argument_of_the_client_is_removed(copy: Copy) -> None:
    copy.edit(CLIENT, MP_ID, "")
    where = "atomscale_target_materials.client.Client.add_layer(mp_id)"
    assert copy.said() == [f"breaking  {where}: parameter was removed", "version bump: major"]


METHODS = """\
class _Base:
    def __init__(self, timeout: float = 3.0) -> None: ...
    def __repr__(self) -> str: ...
    def close(self) -> None: ...

class Client(_Base):
    def add_layer(
        self, *, layer_id, sample_id=1, composition_string=1, element_dict=1, orientation=1,
        space_group=1, mp_id=1, id=1
    ) -> None: ...

class AsyncClient(_Base): ...
"""


@pytest.fixture
def small(copy: Copy) -> Copy:
    """A copy with a client that this test knows."""
    (copy.home / CLIENT).write_text(METHODS, "utf-8")
    copy.git("commit", "--all", "--message", "small")
    return copy


def test_arguments_come_and_change(small: Copy) -> None:
    small.edit(CLIENT, "id=1\n", "id=1, thickness=1.0\n")
    small.edit(CLIENT, "timeout: float = 3.0", "timeout: float = 9.0")
    where = "atomscale_target_materials.client"
    assert small.said() == [
        f"breaking  {where}._Base.__init__(timeout): parameter default was changed: `3.0` -> `9.0`",
        f"additive  {where}.Client.add_layer(thickness): a new optional argument",
        "version bump: major",
    ]


def test_an_inherited_method_is_gone(small: Copy) -> None:
    small.edit(CLIENT, "    def close(self) -> None: ...\n", "")
    where = "atomscale_target_materials.client"
    assert small.said() == [
        f"breaking  {where}.Client.close: the name is gone: code that uses it fails",
        f"breaking  {where}.AsyncClient.close: the name is gone: code that uses it fails",
        "version bump: major",
    ]


PACKAGE = "overrides/atomscale_target_materials"
GENERATED = "generated/atomscale_target_materials_api"


def test_a_lazily_loaded_name_is_no_longer_exported(copy: Copy) -> None:
    copy.edit(f"{PACKAGE}/__init__.py", '"Layer", "LayerCreate", "LayerS', '"LayerCreate", "LayerS')
    assert copy.said() == [
        "breaking  atomscale_target_materials.Layer: the name is gone: code that uses it fails",
        "version bump: major",
    ]


def test_names_come_and_go_as_a_whole(small: Copy) -> None:
    small.edit(CLIENT, "class Client(", "class Customer(")
    where = "atomscale_target_materials.client"
    assert small.said() == [
        f"breaking  {where}.Client: the name is gone: code that uses it fails",
        f"additive  {where}.Customer: a new name",
        "version bump: major",
    ]


def test_a_generated_model_and_an_operation_are_gone(copy: Copy) -> None:
    copy.edit(f"{GENERATED}/models/__init__.py", '    "Error",\n', "")
    copy.edit(f"{GENERATED}/models/layer.py", "    orientation: None | str | Unset = UNSET\n", "")
    (copy.home / GENERATED / "api" / "target_materials" / "list_target_materials.py").unlink()
    api = "atomscale_target_materials_api"
    names = [
        "api.target_materials.list_target_materials",
        "models.Error",
        "models.Layer.orientation",
    ]
    assert copy.said() == [
        *(f"breaking  {api}.{name}: the name is gone: code that uses it fails" for name in names),
        "version bump: major",
    ]


def test_private_names_and_the_generated_runtime_are_nobodys(small: Copy) -> None:
    small.edit(f"{GENERATED}/client.py", "class AuthenticatedClient", "class Authenticated")
    small.edit(f"{GENERATED}/__init__.py", '    "AuthenticatedClient",\n', "")
    operation = f"{GENERATED}/api/target_materials/list_target_materials.py"
    small.edit(operation, "def sync(", "def synced(_, ")
    small.edit(operation, "def _get_kwargs(", "def _kwargs(")
    small.edit(CLIENT, "def __repr__(self)", "def __repr__(self, form: str)")
    where = "atomscale_target_materials_api.api.target_materials.list_target_materials.synced"
    assert small.said() == [f"additive  {where}: a new name", "version bump: minor"]


def test_a_new_field_of_what_is_sent(small: Copy) -> None:
    field = "        latticeType: {type: string}\n"
    small.project.edit((LAYER_CREATE, LAYER_CREATE + field))
    told = "reminder  LayerCreate.latticeType is reachable at once through `client.call`"
    assert small.said() == [
        "additive  add_target_material_layer > body > latticeType: a new optional field",
        f"{told}; there is no argument for it in add_layer",
        "version bump: minor",
    ]
    # With its methods: told is what lacks it, by its name in Python.
    small.edit(CLIENT, "id=1\n", "id=1, lattice_type=1\n")
    small.edit(
        CLIENT,
        "class Async",
        METHODS[METHODS.index("    def add") : METHODS.index("class Async")].replace(
            "add_", "ensure_"
        )
        + "class Async",
    )
    assert small.said()[-2] == f"{told}; there is no argument for it in ensure_layer"


def refused(copy: Copy, *words: str) -> str:
    done = copy.diff(*words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    return done.stderr.removeprefix("make diff: ").rstrip()


def test_what_cannot_be_compared_is_refused_in_one_line(copy: Copy) -> None:
    assert refused(copy, "no-such-ref") == (
        "git knows no commit 'no-such-ref': BASE is a commit, branch or tag"
    )
    assert refused(copy, "") == "git knows no commit '': BASE is a commit, branch or tag"
    (copy.home / CLIENT).write_text("import ssl\nimport (\n", "utf-8")
    assert refused(copy, "HEAD") == f"{CLIENT}, line 2: invalid syntax"
    copy.git("commit", "--all", "--message", "broken")
    copy.git("checkout", "HEAD~1", "--", ".")
    assert refused(copy, "HEAD") == f"at HEAD: {CLIENT}, line 2: invalid syntax"
    copy.git("rm", "-r", "--quiet", "generated")
    copy.git("commit", "--all", "--message", "gone")
    assert refused(copy, "HEAD~2") == "a package is missing: atomscale_target_materials_api"
    copy.git("checkout", "HEAD~2", "--", ".")
    assert refused(copy, "HEAD") == ("at HEAD: fatal: pathspec 'generated' did not match any files")


def test_a_spec_that_is_none_is_refused_with_its_line(copy: Copy) -> None:
    copy.project.edit(("info:\n", "info: [\n"))
    fault = "line 6, column 10: expected ',' or ']', but got ':'"
    assert refused(copy, "HEAD") == f"openapi.yaml, {fault}"
    copy.git("commit", "--all", "--message", "broken")
    copy.git("checkout", "HEAD~1", "--", ".")
    assert refused(copy, "HEAD") == f"openapi.yaml at HEAD, {fault}"
    (copy.home / "openapi.yaml").write_text("- a", "utf-8")
    assert refused(copy, "HEAD~1") == "openapi.yaml: a mapping is needed"
    (copy.home / "openapi.yaml").write_bytes(b"\xff")
    fault = "unacceptable character #x00ff: invalid start byte"
    assert refused(copy, "HEAD~1") == f"openapi.yaml: {fault}"
    copy.git("rm", "--force", "--quiet", "openapi.yaml")
    copy.git("commit", "--all", "--message", "gone")
    assert "No such file" in refused(copy, "HEAD~2")
    copy.git("checkout", "HEAD~2", "--", ".")
    assert refused(copy, "HEAD") == "there is no openapi.yaml at HEAD"
