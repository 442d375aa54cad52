"""The sandbox, fuzzed by schemathesis through ASGI: it answers only what the spec allows.

Every case meets freshly seeded stacks, so that each failure can be repeated by itself. The wrong
methods are answered 405, which no OpenAPI document lists: there schemathesis asks for 405 and an
`Allow` header instead. Not asked for: 415 for another content type than JSON (the spec has none).
"""

import copy
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.config import HealthCheck, SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from starlette.applications import Starlette
from starlette.responses import Response

from atomscale_target_materials.sandbox import Sandbox, _app
from atomscale_target_materials.sandbox._contract import load_spec
from atomscale_target_materials.sandbox._store import Store

ROOT = Path(__file__).parents[2]
SPEC = load_spec()
SCOPES = {
    Sandbox.api_key: frozenset({"read", "write"}),
    Sandbox.read_only_api_key: frozenset({"read"}),
}
KEY = {"X-API-KEY": Sandbox.api_key}
LIST, ADD = "GET /target-materials/", "POST /target-materials/layers/"


class Served:
    """The ASGI application that the schemas below are asked of: the sandbox of the running test."""

    app: Starlette
    renew: Callable[[], None]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


SERVED = Served()


@pytest.fixture(autouse=True)
def sandbox() -> Iterator[None]:
    symbols = frozenset(SPEC["components"]["schemas"]["ElementDictCreate"]["propertyNames"]["enum"])
    seed, store = Store(None, symbols), Store(None, symbols)
    SERVED.app = _app.application(SPEC, store, SCOPES)
    SERVED.renew = lambda: seed._db.backup(store._db)
    yield
    seed.close()
    store.close()


def schema_of(spec: dict[str, Any], *modes: GenerationMode) -> Any:
    # Hypothesis's health checks measure time, and refuse fixtures that serve a whole test.
    config = SchemathesisConfig(seed=3, suppress_health_check=[HealthCheck.all])
    project = config.projects.default
    project.generation.deterministic = True
    project.generation.database = "none"
    project.generation.max_examples = 60
    project.generation.modes = [*modes] or [*GenerationMode]
    # By default any 4xx will do here: what is not allowed is a 422, unless the key was at fault.
    project.checks.negative_data_rejection.expected_statuses = ["401", "403", "405", "422"]
    project.checks.positive_data_acceptance.expected_statuses = [
        "200", "201", "401", "403", "404", "409",
    ]  # fmt: skip
    schema = schemathesis.openapi.from_dict(copy.deepcopy(spec), config=config)
    schema.app = SERVED
    return schema


SCHEMA = schema_of(SPEC)
each_operation: Callable[[Callable[..., None]], Callable[..., None]] = SCHEMA.parametrize()


def judge(case: Any, key: str | None, seen: Counter[int]) -> None:
    """One request, and all checks on its answer; skips what the sandbox does not implement."""
    if case.operation.definition.raw.get("operationId") not in _app.HANDLERS:
        response = case.call(headers=KEY)
        seen[response.status_code] += 1
        if response.status_code == 501:
            pytest.skip(f"501: {response.json()['detail']}")
        return  # This case lacks the key, or has another method.
    SERVED.renew()
    response = case.call_and_validate(headers={"X-API-KEY": key} if key else {})
    seen[response.status_code] += 1
    if response.status_code == 405:
        return
    # A case may lack the header on purpose.
    scopes = SCOPES.get(response.request.headers.get("X-API-KEY", ""))
    scope = "read" if response.request.method == "GET" else "write"
    refusal = {401} if scopes is None else {403} if scope not in scopes else set()
    assert {response.status_code} & {401, 403} == refusal


KEYS = {
    "read and write": Sandbox.api_key,
    "read only": Sandbox.read_only_api_key,
    "unknown": "sk-unknown",
    "none": None,
}
# What must have been met, so that the judgement says something.
MET = {
    (LIST, "read and write"): {200, 401, 405},
    (ADD, "read and write"): {201, 401, 404, 405, 409, 422},
    (LIST, "read only"): {200, 401, 405},
    (ADD, "read only"): {401, 403, 405},
    (LIST, "unknown"): {401, 405},
    (ADD, "unknown"): {401, 405},
    (LIST, "none"): {401, 405},
    (ADD, "none"): {401, 405},
}


@pytest.fixture
def seen(request: pytest.FixtureRequest, key: str) -> Iterator[Counter[int]]:
    """Statuses -> how often; in the end all that can be met have been."""
    counts: Counter[int] = Counter()
    yield counts
    assert {*counts} >= MET.get((request.node.operation_label, key), {501})


@pytest.mark.parametrize("key", KEYS)
@each_operation
def test_the_sandbox_answers_what_the_spec_allows(case: Any, key: str, seen: Counter[int]) -> None:
    judge(case, KEYS[key], seen)


def fuzz(operation: Any) -> None:
    """As above, shorter, for one operation and the good key."""

    @hypothesis.settings(
        max_examples=40, derandomize=True, database=None, deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    @hypothesis.given(case=operation.as_strategy() | operation.as_strategy(GenerationMode.NEGATIVE))
    def run(case: Any) -> None:
        judge(case, Sandbox.api_key, Counter())

    run()


def unchecked(_: Any, status: int, answer: Any) -> Response:
    return _app._json(status, answer)


def handled(status: int, answer: Any) -> dict[str, Callable[..., tuple[int, Any]]]:
    return dict.fromkeys(_app.HANDLERS, lambda *_: (status, answer))


LAYER = {"id": 1, "layer_id": 1}
BROKEN = {
    "refuses all": (ADD, {"faults": lambda *_: [LAYER]}, "Schema-valid request rejected"),
    "accepts all": (
        ADD, {"faults": lambda *_: [], "HANDLERS": handled(201, LAYER)},
        "Schema-violating request accepted",
    ),
    "wants no key": (
        LIST, {"_authorize": lambda *_: None}, "API accepts requests without authentication"
    ),
    "fails": (LIST, {"HANDLERS": handled(200, LAYER)}, "Server error"),
    "answers another status": (
        LIST, {"_checked": unchecked, "HANDLERS": handled(202, [])}, "Undocumented status code"
    ),
    "answers another shape": (
        LIST, {"_checked": unchecked, "HANDLERS": handled(200, LAYER)}, "Response violates schema"
    ),
    "answers another content type": (
        LIST, {"_json": lambda *_: Response(b"[]", media_type="text/plain")},
        "Undocumented Content-Type",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("label", "broken", "title"), BROKEN.values(), ids=BROKEN)
def test_a_broken_sandbox_is_found_out(
    label: str, broken: dict[str, Any], title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = SCHEMA.find_operation_by_label(label)
    fuzz(operation)
    for name, value in broken.items():
        monkeypatch.setattr(_app, name, value)
    with pytest.raises(FailureGroup, match=title):
        fuzz(operation)


WITH_ANOTHER_SPEC = """
import json, pathlib, sys
import pytest

class Plugin:
    def pytest_collection(self):
        from atomscale_target_materials.sandbox import _contract

        spec = json.loads(pathlib.Path(sys.argv[1]).read_text("utf-8"))
        _contract.load_spec = lambda: spec

sys.exit(pytest.main(sys.argv[2:], plugins=[Plugin()]))
"""


def test_an_operation_that_is_not_implemented_is_reported_and_skipped(tmp_path: Path) -> None:
    spec = copy.deepcopy(SPEC)
    spec["paths"]["/target-materials/{sample_id}/"] = {
        "patch": {
            "operationId": "rename_sample",
            "parameters": [
                {"name": "sample_id", "in": "path", "required": True, "schema": {"type": "integer"}}
            ],
            "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": {"204": {"description": "It is renamed."}},
        }
    }
    (tmp_path / "openapi.json").write_text(json.dumps(spec), "utf-8")
    command = [sys.executable, "-c", WITH_ANOTHER_SPEC, str(tmp_path / "openapi.json")]
    command += [str(Path(__file__).relative_to(ROOT)), "-k", "PATCH"]
    command += ["--no-cov", "-p", "no:cacheprovider"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    reason = "501: the sandbox does not implement rename_sample"
    assert re.search(rf"SKIPPED \[\d+\] .*{reason}", run.stdout), run.stdout
    assert " skipped, " in run.stdout.splitlines()[-1], run.stdout


# Sequences of calls


def linked(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec with links, as a document would say which answer feeds which request."""
    spec = copy.deepcopy(spec)
    entry, layer = "$response.body#/0", "$response.body#"
    links = {
        ("/target-materials/", "get", "200"): {
            "another layer": {"sample_id": f"{entry}/sample_id"},
            "taken position": {
                "sample_id": f"{entry}/sample_id", "layer_id": f"{entry}/layer_id",
            },
        },
        ("/target-materials/layers/", "post", "201"): {
            "again": {name: f"{layer}/{name}" for name in ("sample_id", "layer_id")},
            "taken id": {"id": f"{layer}/id"},
        },
    }  # fmt: skip
    for (path, method, status), bodies in links.items():
        spec["paths"][path][method]["responses"][status]["links"] = {
            "look": {"operationId": "list_target_materials"},
            **{
                name: {"operationId": "add_target_material_layer", "requestBody": body}
                for name, body in bodies.items()
            },
        }
    return spec


LINKED: Any = (
    schema_of(linked(SPEC), GenerationMode.POSITIVE)
    .include(operation_id=[*_app.HANDLERS])
    .as_state_machine()
)
Position = tuple[int, int]


class Stacks(LINKED):  # type: ignore[misc]
    """Lists and adds in any order: the list is what it was, and what was added since."""

    seen: ClassVar[Counter[str]] = Counter()

    def setup(self) -> None:
        SERVED.renew()
        self.before: set[Position] | None = None
        self.added: set[Position] = set()

    def get_call_kwargs(self, case: Any) -> dict[str, Any]:
        return {"headers": KEY}

    def after_call(self, response: Any, case: Any) -> None:
        super().after_call(response, case)
        method = response.request.method
        Stacks.seen[f"{method} {response.status_code}"] += 1
        if response.status_code == 201:
            layer = response.json()
            if layer["sample_id"] is not None:
                self.added.add((layer["sample_id"], layer["layer_id"]))
        if response.status_code == 200:
            rows = response.json()
            now = {
                (row["sample_id"], row["layer_id"]) for row in rows if row["layer_id"] is not None
            }
            if self.before is not None:
                assert now == self.before | self.added
                Stacks.seen["the list has grown"] += bool(self.added - self.before)
            self.before, self.added = now, set()


def run_sequences() -> None:
    Stacks.seen.clear()
    Stacks.run(
        settings=hypothesis.settings(
            max_examples=30, stateful_step_count=8, derandomize=True, database=None, deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate],
        )
    )  # fmt: skip


def test_any_sequence_of_calls() -> None:
    run_sequences()
    assert Stacks.seen["the list has grown"]
    assert {*Stacks.seen} >= {"GET 200", "POST 201", "POST 404", "POST 409"}


def test_a_sandbox_that_forgets_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"id": 1, "layer_id": 77, "sample_id": 42}
    monkeypatch.setitem(_app.HANDLERS, "add_target_material_layer", lambda *_: (201, answer))
    with pytest.raises(AssertionError, match=r"Extra items in the right set:\n.*77"):
        run_sequences()
