import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import httpx
import pytest

from atomscale_target_materials import (
    APIConnectionError,
    APIResponseValidationError,
    AtomscaleError,
    BadRequestError,
    Client,
    ConflictError,
    EnsureResult,
    InternalServerError,
    LayerCreate,
    LayerStack,
    LayerStatus,
    NotFoundError,
    StackResult,
)
from atomscale_target_materials.sandbox import Sandbox

from .conftest import Caller
from .server import Server, answer
from .service import (
    EMPTY,
    INAS,
    Reply,
    Service,
    adds,
    answers,
    cuts_the_answer,
    loses_the_answer,
    loses_the_request,
    store,
    stores_another,
    stores_twice,
)

STACK = LayerStack.declare(
    substrate="GaSb",
    layers=[
        {"composition_string": "InAs", "orientation": "001"},
        {"composition_string": "AlSb", "orientation": "001"},
        {"composition_string": "GaSb"},
    ],
)


def says_another_type(service: Service, body: dict[str, Any]) -> bytes:
    store(service, body)
    return answer(201, {**body, "id": "x"})


def ensure(caller: Caller, service: Service, **fields: Any) -> EnsureResult:
    with Server(service) as server:
        result = caller(
            lambda client: client.ensure_layer(**{**INAS, **fields}), base_url=server.base_url
        )
    assert isinstance(result, EnsureResult)
    return result


def ensure_stack(caller: Caller, service: Service, **options: Any) -> StackResult:
    arguments = {"declared": STACK, "sample_id": 56, **options}
    with Server(service) as server:
        result = caller(lambda client: client.ensure_stack(**arguments), base_url=server.base_url)
    assert isinstance(result, StackResult)
    return result


def refused(call: Callable[..., Any], *args: Any, **options: Any) -> AtomscaleError:
    with pytest.raises(AtomscaleError) as caught:
        call(*args, **options)
    return caught.value


# One layer


def test_a_layer_that_is_missing_is_added(caller: Caller) -> None:
    service = Service(adds)
    result = ensure(caller, service)
    assert (result.status, result.row) == ("added", None)
    assert result.layer is not None
    assert result.layer.id == 100
    assert service.log == ["list", 1]


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": 7, **INAS}],
        [EMPTY, {"id": 7, **INAS, "space_group": "F-43m", "element_dict": {"In": 1, "As": 1}}],
        [{"id": 1, **INAS, "sample_id": 55, "orientation": "110"}, {"id": 7, **INAS}],
    ],
    ids=["alone", "completed", "among others"],
)
def test_a_layer_that_is_there_is_not_added(caller: Caller, rows: list[Any]) -> None:
    service = Service(adds, rows=rows)
    result = ensure(caller, service)
    assert (result.status, result.layer) == ("present", None)
    assert result.row is not None
    assert (result.row.layer_id, result.row.sample_id) == (1, 56)
    assert service.log == ["list"]


def test_a_sample_that_is_not_listed_may_have_no_layers(caller: Caller) -> None:
    service = Service(adds, rows=[])
    assert ensure(caller, service).status == "added"
    assert service.log == ["list", 1]


@pytest.mark.parametrize(
    "lost",
    [
        loses_the_answer, cuts_the_answer, says_another_type,
        answers(409, loses_the_answer), answers(500, loses_the_answer),
        answers(302, loses_the_answer), answers(202, loses_the_answer),
    ],
)  # fmt: skip
def test_after_a_lost_answer_the_list_tells(caller: Caller, lost: Reply) -> None:
    service = Service(lost)
    result = ensure(caller, service)
    assert (result.status, result.layer) == ("added", None)
    assert result.row is not None
    assert result.row.orientation == "001"
    assert service.log == ["list", 1, "list"]


@pytest.mark.parametrize(
    ("reply", "kind", "unknown"),
    [
        (loses_the_request, APIConnectionError, True),
        (answers(500), InternalServerError, True),
        (answers(409), ConflictError, False),
        (answers(202), APIResponseValidationError, True),
    ],
)
def test_what_the_list_does_not_show_stays_an_error(
    caller: Caller, reply: Reply, kind: type[AtomscaleError], unknown: bool
) -> None:
    service = Service(reply)
    error = refused(ensure, caller, service)
    assert type(error) is kind
    assert error.outcome_unknown is unknown
    assert str(error).endswith(" The list does not show it.")
    assert service.log == ["list", 1, "list"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_a_refusal_needs_no_second_look(caller: Caller, status: int) -> None:
    service = Service(answers(status))
    error = refused(ensure, caller, service)
    assert not error.outcome_unknown
    assert service.log == ["list", 1]


def test_a_429_is_waited_for(caller: Caller) -> None:
    service = Service(answers(429), adds)
    assert ensure(caller, service).status == "added"
    assert service.log == ["list", 1, 1]
    assert len(caller.pauses) == 1


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        (
            [{"id": 7, **INAS, "orientation": "110"}],
            "1: InAs(001): differing; orientation '001' is declared, the server has '110'",
        ),
        (
            [{"id": 7, **INAS, "orientation": None}],
            "orientation '001' is declared, the server has None",
        ),
        (
            [{"id": 7, **INAS}, {"id": 8, **INAS, "orientation": "110"}],
            "1: InAs(001): differing; the server has 2 there: InAs(001), InAs(110)",
        ),
    ],
)
def test_another_layer_at_the_position_is_a_conflict(
    caller: Caller, rows: list[Any], shown: str
) -> None:
    service = Service(adds, rows=rows)
    error = refused(ensure, caller, service)
    assert isinstance(error, ConflictError)
    assert (error.status_code, error.outcome_unknown) == (None, False)
    assert shown in str(error)
    assert str(error).endswith("\nNothing was written.")
    assert service.log == ["list"]


def test_a_conflict_shows_what_is_declared_and_what_is_there(caller: Caller) -> None:
    extra = {"id": 8, **INAS, "layer_id": 2}
    service = Service(adds, rows=[{"id": 7, **INAS, "orientation": "110"}, extra])
    assert str(refused(ensure, caller, service)).splitlines() == [
        "the server has something else than what is declared:",
        "1: InAs(001): differing; orientation '001' is declared, the server has '110'",
        "substrate: not known",
        "Nothing was written.",
    ]


IN_DOUBT = "Whether the write was carried out is unknown: look before you send it again."


@pytest.mark.parametrize(
    ("reply", "unknown", "last_line"),
    [
        (stores_another, True, IN_DOUBT),
        (stores_twice, True, IN_DOUBT),
        (answers(409, stores_another), False, "The server answered 409."),
    ],
)
def test_another_layer_after_a_lost_answer_is_a_conflict(
    caller: Caller, reply: Reply, unknown: bool, last_line: str
) -> None:
    service = Service(reply)
    error = refused(ensure, caller, service)
    assert isinstance(error, ConflictError)
    assert (error.status_code, error.outcome_unknown) == (None, unknown)
    assert str(error).splitlines()[-1] == last_line
    assert service.log == ["list", 1, "list"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    # An intermediary may have sent the layer twice, and handed on the second answer, the 409.
    [(loses_the_request, APIConnectionError), (answers(409, loses_the_answer), ConflictError)],
)
def test_when_looking_fails_the_first_error_stays_in_doubt(
    caller: Caller, reply: Reply, kind: type[AtomscaleError]
) -> None:
    service = Service(reply)
    lists = iter([answer(200, [EMPTY]), answer(403, {"detail": "no scope"})])
    service.lists = lambda: next(lists)
    error = refused(ensure, caller, service)
    assert (type(error), error.outcome_unknown) == (kind, True)
    assert "Looking for it failed too: GET /target-materials/ answered 403: no scope." in str(error)


def test_when_the_first_look_fails_nothing_is_written(caller: Caller) -> None:
    service = Service(adds)
    service.lists = lambda: answer(403, {"detail": "no scope"})
    assert not refused(ensure, caller, service).outcome_unknown
    assert service.log == ["list"]


@pytest.mark.parametrize(
    ("sent", "there", "same"),
    [
        ({"element_dict": {"In": 1, "As": 1}}, {"element_dict": {"In": 1.0, "As": 1}}, True),
        ({"element_dict": {"In": 1, "As": 1}}, {"element_dict": {"As": 1, "In": 1}}, True),
        ({"element_dict": {"In": 1, "As": 1}}, {"element_dict": {"In": 1}}, False),
        ({"element_dict": {"In": 1, "As": 1}}, {"element_dict": None}, False),
        ({"element_dict": {"In": 0.1}}, {"element_dict": {"In": 0.1000001}}, False),
        ({"element_dict": None}, {"element_dict": None}, True),
        ({"space_group": None}, {}, True),
        ({"space_group": None}, {"space_group": "F-43m"}, False),
        ({"composition_string": "InAs "}, {}, False),
        ({"orientation": "1"}, {"orientation": "1"}, True),
        ({"id": 5}, {}, True),
    ],
)
def test_what_is_compared(
    caller: Caller, sent: dict[str, Any], there: dict[str, Any], same: bool
) -> None:
    service = Service(adds, rows=[{"id": 7, **INAS, **there}])
    if same:
        assert ensure(caller, service, **sent).status == "present"
    else:
        error = refused(ensure, caller, service, **sent)
        assert f"; {next(iter({**sent, **there}))} " in str(error)
    assert service.log == ["list"]


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"sample_id": None}, TypeError, "sample_id: Expected `int`, got `null`"),
        ({"sample_id": "56"}, TypeError, "sample_id: Expected `int`, got `str`"),
        ({"layer_id": True}, TypeError, "layer_id: Expected `int`, got `bool`"),
        ({"element_dict": {"Qq": 1}}, ValueError, 'element_dict: "Qq" is not one of the 118'),
        ({"colour": "red"}, TypeError, "unexpected keyword argument 'colour'"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_sent(
    caller: Caller, fields: dict[str, Any], kind: type[Exception], message: str
) -> None:
    service = Service(adds)
    with pytest.raises(kind, match=message):
        ensure(caller, service, **fields)
    assert service.log == []


def test_each_request_has_a_timeout_of_its_own(caller: Caller) -> None:
    # The read uses up most of its time on pauses; the write still gets its full time.
    service = Service(adds)
    lists = iter([answer(503, retry_after="29"), answer(200, [EMPTY])])
    service.lists = lambda: next(lists)
    with Server(service) as server:
        result = caller(
            lambda client: client.ensure_layer(**INAS), base_url=server.base_url, timeout=30
        )
    assert (result.status, caller.pauses) == ("added", [29])


def test_texts_of_the_server_are_scrubbed(sandbox: Sandbox, caller: Caller) -> None:
    service = Service(adds, rows=[{"id": 7, **INAS, "orientation": f"{sandbox.api_key}\x1b[2J"}])
    with Server(service) as server, pytest.raises(ConflictError) as caught:
        caller(
            lambda client: client.ensure_layer(**INAS), sandbox.api_key, base_url=server.base_url
        )
    assert sandbox.api_key not in str(caught.value)
    assert "\x1b" not in str(caught.value)


# Stacks


def test_a_stack_is_added_from_the_substrate_up(caller: Caller) -> None:
    service = Service(adds)
    seen: list[str] = []
    result = ensure_stack(caller, service, on_progress=lambda layer: seen.append(str(layer)))
    assert service.log == ["list", 1, 2, 3]
    assert seen == ["1: InAs(001): added", "2: AlSb(001): added", "3: GaSb: added"]
    assert [str(fate) for fate in result.fates] == seen
    assert str(result) == "\n".join([*reversed(seen), "substrate: GaSb"])
    again = ensure_stack(caller, service)
    assert [fate.status for fate in again.fates] == ["present"] * 3
    assert not again.diff
    assert service.log == ["list", 1, 2, 3, "list"]


def test_only_what_is_missing_is_added(caller: Caller) -> None:
    service = Service(adds, rows=[EMPTY, {"id": 7, **INAS, "layer_id": 9}])
    store(service, {**INAS, "layer_id": 2, "composition_string": "AlSb"})
    result = ensure_stack(caller, service)
    assert service.log == ["list", 1, 3]
    assert [fate.status for fate in result.fates] == ["added", "present", "added"]
    assert [fate.layer for fate in result.fates] == [*STACK.layers]
    assert [line.layer.layer_id for line in result.diff.extra] == [9]


def test_a_dry_run_writes_nothing(caller: Caller) -> None:
    service = Service(adds, rows=[EMPTY, {"id": 7, **INAS, "orientation": "110"}])
    result = ensure_stack(caller, service, dry_run=True)
    assert service.log == ["list"]
    assert result.fates == ()
    assert result.diff
    assert str(result) == str(result.diff)
    assert str(result).splitlines() == [
        "3: GaSb: to add",
        "2: AlSb(001): to add",
        "1: InAs(001): differing; orientation '001' is declared, the server has '110'",
        "substrate: GaSb",
    ]


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        ([EMPTY, {"id": 7, **INAS, "layer_id": 2}], "2: AlSb(001): differing; composition_string"),
        ([{**EMPTY, "substrate": "GaAs"}], "substrate: GaAs, but GaSb is declared"),
        ([{**EMPTY, **INAS}, {**EMPTY, **INAS}], "1: InAs(001): differing; the server has 2"),
    ],
)
def test_a_stack_that_differs_is_refused_before_the_first_write(
    caller: Caller, rows: list[Any], shown: str
) -> None:
    service = Service(adds, rows=rows)
    error = refused(ensure_stack, caller, service)
    assert isinstance(error, ConflictError)
    assert (error.status_code, error.outcome_unknown) == (None, False)
    assert shown in str(error)
    assert str(error).endswith("\nNothing was written.")
    assert service.log == ["list"]
    assert {fate.status for fate in error.fates} <= {"present", "not tried"}
    assert len(error.fates) == 3


def test_a_substrate_that_is_not_known_is_no_difference(caller: Caller) -> None:
    service = Service(adds, rows=[{**EMPTY, "substrate": None}])
    assert len(ensure_stack(caller, service).fates) == 3
    assert (
        ensure_stack(caller, service).diff.substrate == "substrate: not known, but GaSb is declared"
    )


def test_a_lost_answer_on_the_way_is_settled(caller: Caller) -> None:
    service = Service(adds, loses_the_answer, adds)
    result = ensure_stack(caller, service)
    assert [fate.status for fate in result.fates] == ["added"] * 3
    assert service.log == ["list", 1, 2, "list", 3]


@pytest.mark.parametrize(
    ("reply", "kind", "unknown", "looks"),
    [
        (loses_the_request, APIConnectionError, True, 1),
        (answers(400), BadRequestError, False, 0),
        (stores_another, ConflictError, True, 1),
    ],
)
def test_it_stops_at_the_first_layer_that_fails_and_goes_on_when_run_again(
    caller: Caller, reply: Reply, kind: type[AtomscaleError], unknown: bool, looks: int
) -> None:
    service = Service(adds, reply, adds)
    seen: list[LayerStatus] = []
    error = refused(ensure_stack, caller, service, on_progress=seen.append)
    assert type(error) is kind
    assert error.outcome_unknown is unknown
    assert service.log == ["list", 1, 2, *["list"] * looks]
    assert [fate.status for fate in error.fates] == ["added", "failed", "not tried"]
    assert tuple(seen) == error.fates[:2]
    assert str(error).splitlines()[-4:] == [
        "3: GaSb: not tried",
        "2: AlSb(001): failed",
        "1: InAs(001): added",
        "When that is settled, run it again: what is listed by then is not added twice.",
    ]
    service.rows = [row for row in service.rows if row.get("orientation") != "110"]
    result = ensure_stack(caller, service)
    assert [fate.status for fate in result.fates] == ["present", "added", "added"]


def test_a_client_that_is_closed_meanwhile(caller: Caller) -> None:
    def closing(client: Any) -> Any:
        def lost(request: httpx.Request) -> httpx.Response:
            if request.method == "GET":
                return httpx.Response(200, json=[EMPTY])
            client._driver._closed = True
            raise httpx.ReadError("lost")

        async def lost_async(request: httpx.Request) -> httpx.Response:
            return lost(request)

        transport = client._driver._transport
        transport.handler = lost if isinstance(client, Client) else lost_async
        return client.ensure_stack(STACK, sample_id=56)

    transport = httpx.MockTransport(lambda _: httpx.Response(500))
    error = refused(caller, closing, transport=transport)
    assert (type(error), error.outcome_unknown) == (APIConnectionError, True)
    assert "Looking for it failed too: the client is closed" in str(error)
    assert [fate.status for fate in error.fates] == ["failed", "not tried", "not tried"]


def test_when_the_list_fails_every_fate_is_told(caller: Caller) -> None:
    service = Service(adds)
    service.lists = lambda: answer(403, {"detail": "no scope"})
    error = refused(ensure_stack, caller, service)
    assert [fate.status for fate in error.fates] == ["not tried"] * 3


def test_a_stack_that_was_put_together_wrongly_is_refused(caller: Caller) -> None:
    twice = attrs.evolve(STACK, layers=STACK.layers * 2)
    with pytest.raises(ValueError, match="layers: more than one at position 1"):
        ensure_stack(caller, Service(adds), declared=twice)


def test_texts_of_the_server_forge_no_line(caller: Caller) -> None:
    forged = "GaAs\n1: InAs(001): present"
    service = Service(adds, rows=[{**EMPTY, "substrate": forged}])
    error = refused(ensure_stack, caller, service)
    assert "substrate: GaAs 1: InAs(001): present, but GaSb is declared" in str(error).splitlines()


def test_a_listener_may_look_empty(caller: Caller) -> None:
    class Log(list[LayerStatus]):
        def __call__(self, status: LayerStatus) -> None:
            self.append(status)

    log = Log()
    ensure_stack(caller, Service(adds), on_progress=log)
    assert len(log) == 3


def test_fates_outlive_pickling(caller: Caller) -> None:
    error = refused(ensure_stack, caller, Service(adds, answers(400)))
    for twin in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert twin.fates == error.fates
        assert str(twin.fates[0]) == "1: InAs(001): added"
    assert AtomscaleError().fates == ()


def test_what_on_progress_raises_stops_it(caller: Caller) -> None:
    service = Service(adds)

    def stop(_: LayerStatus) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        ensure_stack(caller, service, on_progress=stop)
    assert service.log == ["list", 1]


def test_a_stack_without_layers_is_only_looked_at(caller: Caller) -> None:
    service = Service(adds)
    result = ensure_stack(caller, service, declared=LayerStack.declare(layers=[]))
    assert (result.fates, service.log) == ((), ["list"])
    assert str(result) == "substrate: GaSb"


async def coroutine(_: LayerStatus) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"sample_id": None}, TypeError, "sample_id: Expected `int`, got `null`"),
        ({"sample_id": 2**63}, ValueError, "sample_id: Expected `int` <="),
        ({"declared": [INAS]}, TypeError, "declared: use LayerStack.declare or from_file, not"),
        (
            {"declared": LayerStack.declare(layers=[{**INAS, "sample_id": 57}])},
            ValueError,
            "sample_id: 56 was given, but 57 is declared",
        ),
        ({"on_progress": 0}, TypeError, "on_progress: a plain function is needed, got 0"),
        ({"on_progress": 1}, TypeError, "on_progress: a plain function is needed, got 1"),
        ({"on_progress": coroutine}, TypeError, "on_progress: a plain function is needed"),
    ],
)
def test_bad_arguments_of_a_stack_are_refused_before_anything_is_sent(
    caller: Caller, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    service = Service(adds)
    with pytest.raises(kind, match=message):
        ensure_stack(caller, service, **options)
    assert service.log == []


def test_a_listed_stack_is_not_a_declared_one(sandbox: Sandbox, caller: Caller) -> None:
    with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        listed = client.list_target_materials().stack(43)
    with pytest.raises(TypeError, match="not <LayerStack 43, 'BaTiO3 on SrTiO3"):
        ensure_stack(caller, Service(adds), declared=listed)


# With the sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        yield client


def test_in_the_sandbox(client: Client) -> None:
    declared = LayerStack.declare(
        substrate="GaSb",
        layers=[LayerCreate.from_dict(INAS), {"composition_string": "AlSb", "id": 9}],
    )
    first, again = (client.ensure_stack(declared, sample_id=56) for _ in range(2))
    assert [fate.status for fate in first.fates] == ["added"] * 2
    assert [fate.status for fate in again.fates] == ["present"] * 2
    stack = client.list_target_materials().stack(56)
    assert str(stack) == "AlSb/InAs(001)/GaSb"
    assert not declared.diff(stack)
    added = client.ensure_layer(layer_id=3, sample_id=56, composition_string="BaTiO3")
    present = client.ensure_layer(layer_id=3, sample_id=56, composition_string="BaTiO3")
    assert (added.status, present.status) == ("added", "present")
    assert present.row is not None
    assert present.row.space_group == "P4mm"


def test_an_unknown_sample(client: Client) -> None:
    with pytest.raises(NotFoundError, match="no target material with sample_id 999") as caught:
        client.ensure_stack(STACK, sample_id=999)
    assert [fate.status for fate in caught.value.fates] == ["failed", "not tried", "not tried"]
