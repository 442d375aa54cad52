"""Each write happens exactly once, and is reported as it was: a state machine tries to refute it.

Clients, in a process of their own, write through a proxy that loses, cuts, repeats and holds what
they send and hear; clients and servers are killed. After every step the server's database is laid
beside what was reported. One server refuses a second layer at a position, the other, lenient,
stores whatever comes. At last clients are broken on purpose: the machine finds each of them.
"""

import contextlib
import itertools
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Literal, Self, get_args

import attrs
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from atomscale_target_materials.sandbox import Sandbox
from atomscale_target_materials.sandbox._store import SEEDED_AT

from .proxy import LIMIT, PASS, Exchange, Fault, Plan, Point, Proxy, Step, Victim

# The processes. Each warms up, and waits for the line that makes it begin: so the next one is ready
# before it is needed.

SERVER = """
import sys
from atomscale_target_materials.sandbox import Sandbox, _store

def stores_whatever_comes():
    refuse = _store.Store._refuse
    def lenient(store, layer):
        try:
            refuse(store, layer)
        except _store.Refusal as refusal:
            if refusal.status != 409:
                raise
    _store.Store._refuse = lenient
    _store._SCHEMA = _store._SCHEMA.replace("UNIQUE (sample_id, layer_id)", "CHECK (true)")

if sys.argv[1] == "lenient":
    stores_whatever_comes()
with Sandbox():
    pass
print(Sandbox(input()).start().base_url, flush=True)
sys.stdin.read()
"""

WORKER = """
import asyncio, contextlib, json, sys
from atomscale_target_materials import *
from atomscale_target_materials import _operations, _steps
from atomscale_target_materials.stacks import LayerStack

exec(sys.argv[1])

async def at_once(seconds):
    pass

def carry_out(call):
    client = clients[call.pop("kind")].with_options(timeout=call.pop("timeout"))
    method = getattr(client, call.pop("method"))
    stack = [LayerStack.declare(**call.pop("stack"))] if "stack" in call else []
    result = method(*stack, **call)
    return runner.run(result) if asyncio.iscoroutine(result) else result

def fates(told):
    return [[fate.layer.layer_id, fate.status] for fate in getattr(told, "fates", ())]

def clients_of(url, key):
    sync, other = (kind(key, base_url=url, max_tries=2) for kind in (Client, AsyncClient))
    sync._driver._sleep, other._driver._sleep = (lambda seconds: None), at_once
    return {"sync": sync, "async": other}

with asyncio.Runner() as runner:
    clients = clients_of("http://127.0.0.1:1", "none")
    for kind in clients:
        with contextlib.suppress(APIConnectionError):
            carry_out({"kind": kind, "timeout": 9, "method": "add_layer", "layer_id": 1})
    clients = clients_of(*input().split())
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            result = carry_out(json.loads(line))
            answer = {"status": getattr(result, "status", "added"), "fates": fates(result)}
        except Exception as error:
            unknown = getattr(error, "outcome_unknown", False)
            answer = {
                "error": [each.__name__ for each in type(error).__mro__],
                "unknown": unknown, "fates": fates(error), "message": str(error),
            }
        print(json.dumps(answer), flush=True)
"""


class Process:
    """A Python process that answers lines with lines."""

    def __init__(self, code: str, argument: str) -> None:
        # Killed, it would leave no measurement of coverage anyway.
        environment = {name: os.environ[name] for name in os.environ if "COVERAGE" not in name}
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, line: str) -> str:
        """The line that it answers; empty if it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watchdog = threading.Timer(LIMIT, self._process.kill)
        watchdog.start()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        watchdog.cancel()
        return answer

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Spares:
    """Processes of one kind; one more than are used."""

    def __init__(self, code: str, argument: str) -> None:
        self._kind = code, argument
        self._all = [Process(*self._kind)]

    def take(self) -> Process:
        self._all.append(Process(*self._kind))
        return self._all[-2]

    def close(self) -> None:
        for each in self._all:
            each.close()


Place = tuple[int, int]
Row = dict[str, Any]
Kind = Literal["strict", "lenient"]


class World:
    """A server, a client, and the proxy between them, for many runs of the machine."""

    def __init__(self, db: Path, kind: Kind, sabotage: str = "") -> None:
        self.kind = kind
        self.proxy = Proxy(self.kill)
        self.fates: Counter[str] = Counter()
        self.refuted = 0
        self._db = db
        self._servers, self._workers = Spares(SERVER, kind), Spares(WORKER, sabotage)
        self._server = self._servers.take()
        self._worker: Process | None = None
        self._killed = False

    def kill(self, victim: Victim) -> None:
        """The client is started when it is needed, the server at once."""
        if victim == "server":
            self._server.kill()
            self._server = self._servers.take()
            self._serve()
        elif self._worker:
            self._killed = True
            self._worker.kill()
            self._worker = None

    def _serve(self) -> None:
        self.proxy.upstream = int(self._server.ask(str(self._db)).rpartition(":")[2])

    def call(self, call: dict[str, Any], plan: Plan) -> dict[str, Any] | None:
        """What the client told of a call; None if it was killed."""
        if not self._worker:
            self._worker = self._workers.take()
            self._worker.ask(f"{self.proxy.base_url} {Sandbox.api_key}")
        self._killed = False
        self.proxy.begin(plan)
        line = self._worker.ask(json.dumps(call))
        self.proxy.settle()
        if not (line or self._killed):
            raise RuntimeError("the client's process ended by itself")
        return json.loads(line) if line else None

    def rows(self) -> list[Row]:
        """All layers that the server has."""
        with contextlib.closing(sqlite3.connect(self._db)) as database:
            database.row_factory = sqlite3.Row
            rows = [dict(row) for row in database.execute("SELECT * FROM layers ORDER BY number")]
        return [{**row, "element_dict": json.loads(row["element_dict"] or "null")} for row in rows]

    def begin_anew(self) -> None:
        """With the seed alone."""
        self.proxy.hang_up()
        self.proxy.held.clear()
        with contextlib.closing(sqlite3.connect(self._db)) as database, database:
            database.execute("DELETE FROM layers WHERE last_updated != ?", [SEEDED_AT])

    def __enter__(self) -> Self:
        self.proxy.__enter__()
        self._serve()
        return self

    def __exit__(self, *raised: object) -> None:
        self._servers.close()
        self._workers.close()
        self.proxy.__exit__(*raised)


# What is drawn. Nothing depends on what came before: a run can be repeated.

MATERIALS: list[dict[str, Any]] = [
    {"composition_string": "BaTiO3", "orientation": "001"},
    {"composition_string": "SrTiO3"},
    {"element_dict": {"In": 0.53, "Ga": 0.47, "As": 1}},
    {"composition_string": "β-Ga2O3", "orientation": None, "space_group": "C2/m"},
    {"orientation": "111", "mp_id": "mp-149"},
]
# The first has BaTiO3(001) on Si, the second nothing on GaSb, the third something else on SrTiO3.
SAMPLES = st.sampled_from([42, 56, 44, 56])
HIGHEST = 12
SHORT = 0.3


def material(layer_id: int, *, other: bool) -> dict[str, Any]:
    """What mostly is declared for a position, or something else."""
    return MATERIALS[(layer_id - 1 + other) % len(MATERIALS)]


def rarely(draw: st.DrawFn) -> bool:
    return draw(st.integers(0, 9)) == 9


@st.composite
def layers(draw: st.DrawFn) -> dict[str, Any]:
    """The arguments of `add_layer` and `ensure_layer`."""
    layer_id = draw(st.integers(1, HIGHEST))
    fields = material(layer_id, other=rarely(draw))
    return {"sample_id": draw(SAMPLES), "layer_id": layer_id, **fields}


@st.composite
def stacks(draw: st.DrawFn) -> dict[str, Any]:
    """The arguments of `ensure_stack`."""
    lowest, count = draw(st.integers(1, HIGHEST - 3)), draw(st.integers(1, 4))
    declared = [
        {"layer_id": layer_id, **material(layer_id, other=rarely(draw))}
        for layer_id in range(lowest, lowest + count)
    ]
    stack = {"layers": declared, "substrate": "Si" if rarely(draw) else None}
    return {"sample_id": draw(SAMPLES), "stack": stack}


KINDS = st.sampled_from(["sync", "async"])
KILLS = st.tuples(st.sampled_from(["client", "client", "server"]), st.sampled_from(get_args(Point)))
ENDS = st.sampled_from(["close", "reset"] * 4 + ["silence"])
STEPS = st.builds(
    Step,
    fault=st.sampled_from(get_args(Fault)),
    end=ENDS,
    cut=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    second=st.booleans(),
    release=st.sampled_from([None, None, "before", "after"]),
)
PLANS = st.fixed_dictionaries(
    {"GET": st.lists(STEPS, max_size=4), "POST": st.lists(STEPS, max_size=3)}
)
CALLS = st.one_of(
    st.tuples(st.just("add_layer"), layers()),
    st.tuples(st.just("ensure_layer"), layers()),
    st.tuples(st.just("ensure_stack"), stacks()),
)

# A second copy would be stored: that is the intermediary's doing, not the client's.
BEYOND: dict[Kind, set[Fault]] = {"strict": set(), "lenient": {"repeat request"}}


# What must hold

Fate = Literal["added", "present", "unknown", "not written", "killed"]


@attrs.frozen
class Report:
    """A declared layer, and what the client told of it in one call."""

    place: Place
    fields: dict[str, Any]
    fate: Fate

    def fits(self, row: Row) -> bool:
        """Is the row the layer, as it was declared?"""
        return place_of(row) == self.place and all(
            row.get(name) == value for name, value in self.fields.items()
        )


def place_of(row: Row) -> Place:
    return row["sample_id"], row["layer_id"]


def declared_by(call: dict[str, Any]) -> dict[Place, dict[str, Any]]:
    """Place -> fields of each layer."""
    given = call["stack"]["layers"] if "stack" in call else [call]
    ours = {"layer_id", "sample_id", "method", "kind", "timeout"}
    return {
        (call["sample_id"], each["layer_id"]): {x: each[x] for x in each if x not in ours}
        for each in given
    }


def fates_of(
    call: dict[str, Any], answer: dict[str, Any] | None, posts: list[Place]
) -> dict[Place, Fate]:
    """What was told of each layer; those of which nothing was told were not tried."""
    if answer is None:
        return dict.fromkeys(posts, "killed")
    failed: Fate = "unknown" if answer.get("unknown") else "not written"
    told = (
        answer["fates"] if "stack" in call else [[call["layer_id"], answer.get("status", "failed")]]
    )
    return {
        (call["sample_id"], layer_id): failed if status == "failed" else status
        for layer_id, status in told
        if status != "not tried"
    }


def conflicts(call: dict[str, Any], listed: list[Row]) -> bool:
    """Does the list have something else than what the call declares?"""
    mine = [row for row in listed if row["sample_id"] == call["sample_id"]]
    substrate = call.get("stack", {}).get("substrate")
    reports = [Report(place, fields, "present") for place, fields in declared_by(call).items()]
    return any(substrate not in (None, row["substrate"]) for row in mine) or any(
        [each.fits(row) for row in mine if place_of(row) == each.place] not in ([], [True])
        for each in reports
    )


def judge_the_writes(call: dict[str, Any], exchanges: list[Exchange]) -> None:
    """Each layer is sent once; and only if the list lacks it, and has nothing else.

    What was given up in haste may come after what was sent later: of that no order is asked.
    """
    posts = [each for each in exchanges if each.method == "POST"]
    places = [place_of(each.body) for each in posts]
    assert len({*places}) == len(places)
    if posts and call["method"] != "add_layer" and call["timeout"] == LIMIT:
        status, heard = exchanges[max(0, exchanges.index(posts[0]) - 1)].answered
        assert status == 200
        assert not conflicts(call, heard)
        assert {*places}.isdisjoint(map(place_of, heard))


def judge_the_error(
    call: dict[str, Any], answer: dict[str, Any], exchanges: list[Exchange]
) -> None:
    """It must follow from the last answer, if the client has heard it, whole and in time."""
    if "AtomscaleError" not in answer["error"]:
        raise RuntimeError(f"not of the family: {answer}")
    posts, last = [each for each in exchanges if each.method == "POST"], exchanges[-1]
    refused = "ConflictError" in answer["error"]
    status, heard = last.answered
    if call["timeout"] < LIMIT:
        return
    if call["method"] == "add_layer":
        assert status not in (200, 201)
        assert refused == (status == 409) or not status
    else:
        assert last.method == "GET"
        if status == 200 and refused:
            assert conflicts(call, heard)
        elif status == 200:
            assert place_of(posts[-1].body) not in map(place_of, heard)
        else:
            assert posts or not refused


class Machine(RuleBasedStateMachine):
    """One run, from the seed on."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.reports: list[Report] = []
        self.ensured: dict[str, dict[str, Any]] = {}
        self.sound = True
        self.server_was_killed = False
        world.begin_anew()

    @rule(layer=layers(), kind=KINDS, plan=PLANS)
    def add_layer(self, layer: dict[str, Any], kind: str, plan: Plan) -> None:
        self.call("add_layer", layer, kind, plan)

    @rule(layer=layers(), kind=KINDS, plan=PLANS)
    def ensure_layer(self, layer: dict[str, Any], kind: str, plan: Plan) -> None:
        self.call("ensure_layer", layer, kind, plan)

    @rule(stack=stacks(), kind=KINDS, plan=PLANS)
    def ensure_stack(self, stack: dict[str, Any], kind: str, plan: Plan) -> None:
        self.call("ensure_stack", stack, kind, plan)

    @rule(call=CALLS, kind=KINDS, passing=st.sampled_from([0, 0, 1]), step=STEPS, kill=KILLS)
    def call_with_a_kill(
        self,
        call: tuple[str, dict[str, Any]],
        kind: str,
        passing: int,
        step: Step,
        kill: tuple[Victim, Point],
    ) -> None:
        step = attrs.evolve(step, kill=kill)
        self.call(*call, kind, {"POST": [*[PASS] * passing, step]})

    @rule()
    def kill_the_server(self) -> None:
        if not self.server_was_killed:  # once: it takes a while to start the next
            self.server_was_killed = True
            self.world.kill("server")

    @rule()
    def deliver_what_was_held(self) -> None:
        self.world.proxy.release()

    def call(self, method: str, arguments: dict[str, Any], kind: str, plan: Plan) -> None:
        """A call with faults, as far as the server is made for them."""
        if self.world.kind == "lenient":
            # Reads follow writes; and nobody but the client sends a write.
            self.world.proxy.release()
            plan = {name: [*map(without_repeats, steps)] for name, steps in plan.items()}
            rows = {place_of(row) for row in self.world.rows()}
            if method == "add_layer" and (arguments["sample_id"], arguments["layer_id"]) in rows:
                return
        silence = any(step.end == "silence" for steps in plan.values() for step in steps)
        call = {"method": method, "kind": kind, **arguments}
        if method != "add_layer":
            self.ensured[json.dumps(call)] = {**call, "timeout": LIMIT}
        self.carry_out({**call, "timeout": SHORT if silence else LIMIT}, plan)

    def carry_out(self, call: dict[str, Any], plan: Plan) -> dict[str, Any]:
        """What the client told, after it was judged."""
        self.sound = False
        answer, exchanges = self.world.call(call, plan), self.world.proxy.exchanges
        note(f"{call}\n  {[each.step for each in exchanges]}\n  {answer}")
        declared = declared_by(call)
        posts = [each for each in exchanges if each.method == "POST"]
        places = [place_of(each.body) for each in posts]
        fates = fates_of(call, answer, places)
        for each in posts if call["method"] == "add_layer" else ():
            # A 409 may answer the second of two copies: it does not tell that nothing was written.
            if each.step.fault == "repeat request" and each.answered[0] == 409:
                place = place_of(each.body)
                fates[place] = "unknown" if fates[place] == "not written" else fates[place]
        self.reports += [Report(place, declared[place], fate) for place, fate in fates.items()]
        self.world.fates.update(fates.values())
        judge_the_writes(call, exchanges)
        sent = {place for place, fate in fates.items() if fate in ("added", "unknown")}
        unsent = {place for place, fate in fates.items() if fate == "present"}
        assert sent <= {*places} <= fates.keys() - unsent
        if answer and "error" in answer:
            judge_the_error(call, answer, exchanges)
        elif answer:
            assert list(fates) == sorted(declared)
            assert {*fates.values()} <= {"added", "present"}
        self.sound = True
        return answer or {}

    @invariant()
    def what_was_reported_is_what_is_there(self) -> None:
        self.sound, rows = False, self.world.rows()
        there = {place_of(row): row for row in rows}
        assert len(there) == len(rows)
        for report in self.reports:
            if report.fate in ("added", "present"):
                assert report.place in there
                assert report.fits(there[report.place])
        may_be = [each for each in self.reports if each.fate in ("added", "unknown", "killed")]
        for row in rows:
            assert row["last_updated"] == SEEDED_AT or any(each.fits(row) for each in may_be)
        self.sound = True

    def teardown(self) -> None:
        """Without faults, all that was ensured comes to be, and then there is nothing to do."""
        if not self.sound:
            self.world.refuted += 1
            return
        self.world.proxy.release()
        for _ in range(2):
            before, answers = self.world.rows(), []
            for call in self.ensured.values():
                answers.append(self.carry_out(call, {}))
                assert "ConflictError" in answers[-1].get("error", ["ConflictError"])
            self.what_was_reported_is_what_is_there()
        assert self.world.rows() == before


def without_repeats(step: Step) -> Step:
    return attrs.evolve(step, fault="delay") if step.fault == "repeat request" else step


def run(world: World, examples: int) -> None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=20,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(lambda: Machine(world), settings=chosen)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_each_write_happens_exactly_once(tmp_path: Path, kind: Kind) -> None:
    with World(tmp_path / "stacks.db", kind) as world:
        run(world, examples=20)
    met, kills = world.proxy.met, itertools.product(get_args(Victim), get_args(Point))
    assert {each for each in get_args(Fault) if not met[each]} <= BEYOND[kind]
    assert all(met[each] for each in ("close", "reset", "silence", "late"))
    assert sum(met[each] > 0 for each in kills) > 3
    assert all(world.fates[fate] for fate in get_args(Fate))


# Clients that are broken on purpose

SABOTAGE = {
    ("does not look first", "lenient"): """
compare, layer, stack = _operations._compare, _operations.ensure_layer, _operations.ensure_stack
def blind(settings, declared, sample_id):
    _operations._compare = compare
    return declared.diff(LayerStack.declare(layers=()))
    yield
def blindly(flow):
    def begin(*arguments, **options):
        _operations._compare = blind
        return (yield from flow(*arguments, **options))
    return begin
_operations.ensure_layer, _operations.ensure_stack = blindly(layer), blindly(stack)
""",
    (
        "takes any layer for the one that is declared",
        "lenient",
    ): "_operations._refuse = lambda *_, **__: None",
    ("posts again after a lost answer", "lenient"): """
add = _operations.add_layer
def twice(*arguments):
    try:
        return (yield from add(*arguments))
    except AtomscaleError as error:
        if not error.outcome_unknown:
            raise
    return (yield from add(*arguments))
_operations.add_layer = twice
""",
    ("sends a write again as it does a read", "strict"): "_steps._may_repeat = lambda *_: True",
    ("believes that what was lost was done", "strict"): """
def trusting(settings, declared, sample_id):
    layer, fields = None, {**declared.layers[0].row.to_dict(), "sample_id": sample_id}
    try:
        layer = yield from _operations.add_layer(settings, fields)
    except AtomscaleError as error:
        if not error.outcome_unknown:
            raise
    return _operations.EnsureResult("added", layer, None)
_operations._post = trusting
""",
    ("believes that what is not listed was not done", "strict"): """
add = _operations._post
def hopeful(*arguments):
    try:
        return (yield from add(*arguments))
    except AtomscaleError as error:
        error.outcome_unknown = False
        raise
_operations._post = hopeful
""",
    ("does not look after a lost answer", "strict"): """
def incurious(settings, declared, sample_id):
    fields = {**declared.layers[0].row.to_dict(), "sample_id": sample_id}
    layer = yield from _operations.add_layer(settings, fields)
    return _operations.EnsureResult("added", layer, None)
_operations._post = incurious
""",
    (
        "does not look after a 409",
        "strict",
    ): "_operations.ConflictError = type('Other', (ConflictError,), {})",
}


@pytest.mark.parametrize(("fault", "kind"), SABOTAGE, ids=str)
def test_the_machine_finds_a_client_that_is_broken(tmp_path: Path, fault: str, kind: Kind) -> None:
    with World(tmp_path / "stacks.db", kind, SABOTAGE[fault, kind]) as world:
        # Flaky: it was found, but not a second time; deadlines and kills are races.
        with pytest.raises((AssertionError, Flaky)):
            run(world, examples=100)
        assert world.refuted
