"""The clients: `Client`, and `AsyncClient` to be awaited. What they do is in `_operations`."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Coroutine, Mapping
from functools import partial, wraps
from types import ModuleType
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Self, TypeVar

import attrs
import httpx

from atomscale_target_materials_api.models import ElementDict, ElementDictCreate, Layer
from atomscale_target_materials_api.types import UNSET, Unset

from . import _operations
from ._drivers import AsyncDriver, Driver
from ._operations import EnsureResult, StackResult
from ._settings import Secret, Settings
from ._steps import T
from ._transport import AsyncTransport, Transport, ssl_context_for
from .stacks import LayerStack, LayerStatus, TargetMaterials

OptionalInt = int | None | Unset
OptionalStr = str | None | Unset
OptionalFormula = OptionalStr | Mapping[str, float]
OptionalAmounts = Mapping[str, float] | ElementDict | ElementDictCreate | None | Unset
P = ParamSpec("P")
TransportT = TypeVar("TransportT")


class _Client(Generic[TransportT]):
    """What both clients are: settings, and a driver that holds the connections."""

    _parts: ClassVar[tuple[Any, Any]]
    """Our transport, and the driver that runs it."""

    def __init__(
        self, api_key: str | None = None, *, base_url: str | None = None, timeout: float = 30.0,
        max_tries: int = 4, max_response_bytes: int = 64 * 1024 * 1024,
        ssl_context: ssl.SSLContext | None = None, transport: TransportT | None = None,
    ) -> None:  # fmt: skip
        # From here on no frame, and so no traceback, holds the key as a plain text.
        key, url, api_key, base_url = Secret(api_key), Secret(base_url), None, None
        limits = timeout, max_tries, max_response_bytes
        self._settings = settings = Settings.resolve(key, url, *limits, proxied=transport is None)
        self._portable = ssl_context is None and transport is None
        if transport is None:
            context = ssl_context_for(settings.base_url, ssl_context)
            transport = self._parts[0](context, settings.proxy)
        self._driver = self._parts[1](transport)

    def with_options(
        self, *, timeout: float | Unset = UNSET, max_tries: int | Unset = UNSET
    ) -> Self:
        """A client with other limits on the same connections: closing one closes both.

        Args:
            timeout: Seconds for the whole of a call, tries and pauses included.
            max_tries: How often a request that may be repeated is sent at most.

        Raises:
            TypeError: A limit is of the wrong type; `timeout=None` is: a call without an end is not
                offered.
            ValueError: A limit is out of range.
        """
        given: dict[str, Any] = {"timeout": timeout, "max_tries": max_tries}
        changes = {name: value for name, value in given.items() if value is not UNSET}
        other = object.__new__(type(self))
        vars(other).update(vars(self), _settings=attrs.evolve(self._settings, **changes))
        return other

    def __copy__(self, _: object = None) -> Self:
        return self.with_options()

    __deepcopy__ = __copy__

    def __repr__(self) -> str:
        # In a traceback of `__init__` there may be no settings yet.
        return f"<{type(self).__name__} {vars(self).get('_settings', '')}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._portable:
            raise TypeError("a client with its own ssl_context or transport cannot be pickled")
        # No key: the new client reads it from the environment of its process.
        kept = attrs.filters.include("base_url", "timeout", "max_tries", "max_response_bytes")
        return partial(type(self), **attrs.asdict(self._settings, filter=kept)), ()


class Client(_Client[httpx.BaseTransport]):
    """A client of the target-materials API. It may be shared by threads.

    Args:
        api_key: The API key; else the environment variable ATOMSCALE_API_KEY, else AS_API_KEY.
        base_url: Address of the service, https (http for loopback alone), a path prefix is kept;
            else ATOMSCALE_API_ENDPOINT, else AS_API_ENDPOINT, else https://api.atomscale.ai.
        timeout: Seconds for the whole of a call: connecting, all tries, pauses and the answer. In
            sync code the look-up of the host's name is bounded by the system's resolver alone.
        max_tries: How often a request that may be repeated is sent at most: reads after a passing
            failure, writes only when they certainly did not arrive or were refused with 429.
        max_response_bytes: An answer larger than this, decompressed, is refused.
        ssl_context: Your own, for example for a corporate CA; else httpx's default, which honours
            SSL_CERT_FILE and SSL_CERT_DIR.
        transport: An httpx transport that replaces ours, for tests: deadline and limits then hold
            only as far as it lets them.

    Raises:
        ConfigurationError: The key or the base URL is missing or cannot be right; nothing was sent.
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of range.

    Example:
        with Client() as client:
            for stack in client.list_target_materials().stacks():
                print(stack)
    """

    _parts = Transport, Driver
    _driver: Driver

    def list_target_materials(self) -> TargetMaterials:
        """All target materials of your organization, one entry for each layer (API reference, A1).

        Returns:
            An immutable sequence of the generated `TargetMaterial`; `.stacks()` groups it into
            layer stacks. Fields that the spec does not know are in each row's
            `additional_properties`.

        Raises:
            APIStatusError: The server refused; its subclasses name the status.
            APIConnectionError: No connection, or one that broke; `APITimeoutError` when time ran
                out.
            APIResponseValidationError: The answer is not what the API describes.
        """
        return self._driver.run(_operations.list_target_materials(self._settings))

    def add_layer(
        self, *, layer_id: int, sample_id: OptionalInt = UNSET,
        composition_string: OptionalFormula = UNSET, element_dict: OptionalAmounts = UNSET,
        orientation: OptionalStr = UNSET, space_group: OptionalStr = UNSET,
        mp_id: OptionalStr = UNSET, id: OptionalInt = UNSET,  # noqa: A002 - the API's own name
    ) -> Layer:  # fmt: skip
        """Adds one layer to a target material's stack (API reference, A2).

        An argument that is left out is not sent; an explicit None is sent as null. The server may
        fill in what follows from the composition. The API offers no idempotency keys: after an
        error whose `outcome_unknown` is True, look before you send it again.

        Args:
            layer_id: Position of the layer within the stack; the lowest lies on the substrate.
            sample_id: ID of the target material (`sample_id` of its list entries) that the layer is
                linked to.
            composition_string: Chemical composition, for example "BaTiO3"; a pymatgen Composition
                too (extra `materials`), as for `element_dict`.
            element_dict: Element counts or fractions, symbol -> amount, for example {"Ba": 1, "Ti":
                1, "O": 3}.
            orientation: Miller indices normal to the film surface, for example "001".
            space_group: Space group of the lattice, for example "P4mm".
            mp_id: Materials Project ID, for example "mp-5020".
            id: Explicit record ID for the layer.

        Returns:
            The layer as the server stored it.

        Raises:
            TypeError: An argument is of the wrong type, or unknown; nothing was sent.
            ValueError: An argument is out of range, or a key of `element_dict` is no chemical
                element; nothing was sent.
            APIStatusError: The server refused; its subclasses name the status.
            APIConnectionError: No connection, or one that broke; `APITimeoutError` when time ran
                out.
            APIResponseValidationError: The answer is not what the API describes.
        """
        return self._driver.run(_operations.add_layer(self._settings, locals()))

    def ensure_layer(
        self, *, layer_id: int, sample_id: int,
        composition_string: OptionalFormula = UNSET, element_dict: OptionalAmounts = UNSET,
        orientation: OptionalStr = UNSET, space_group: OptionalStr = UNSET,
        mp_id: OptionalStr = UNSET, id: OptionalInt = UNSET,  # noqa: A002 - the API's own name
    ) -> EnsureResult:  # fmt: skip
        """Adds one layer unless it is there, and settles a lost answer by looking.

        It lists, posts once (again only after a 429, which refuses), and lists again after a lost
        answer or a 409. So it can be run again, provided that nobody else writes to the same stack,
        and that the list shows what was written. Each request has the client's `timeout`.

        Args:
            layer_id: As for `add_layer`, like the others. What is given is compared with what is
                there, but for `id`: texts exactly, amounts as numbers, None as absent. So leave out
                what the server fills in.
            sample_id: ID of the target material.
            composition_string: Chemical composition.
            element_dict: Element counts or fractions.
            orientation: Miller indices normal to the film surface.
            space_group: Space group of the lattice.
            mp_id: Materials Project ID.
            id: Explicit record ID for the layer.

        Returns:
            Its `status` is "added" or "present"; see `EnsureResult`.

        Raises:
            TypeError: As for `add_layer`; nothing was sent.
            ValueError: As for `add_layer`; nothing was sent.
            ConflictError: The position has a layer with other fields, or two layers.
            AtomscaleError: As for the other methods. If `outcome_unknown` is True the layer was
                sent, and is not listed yet: it may still come. Run it again later.
        """
        return self._driver.run(_operations.ensure_layer(self._settings, locals()))

    def ensure_stack(
        self, declared: LayerStack, *, sample_id: int, dry_run: bool = False,
        on_progress: Callable[[LayerStatus], object] | None = None,
    ) -> StackResult:  # fmt: skip
        """Adds the layers of a declared stack that are missing, from the substrate up.

        It lists once, and writes nothing if the substrate or a declared layer is another on the
        server. Each layer is then added as by `ensure_layer`. It stops at the first that fails, and
        can be run again at any time: what is there is not added twice.

        Args:
            declared: Made by `LayerStack.declare` or `LayerStack.from_file`.
            sample_id: ID of the target material. One that is not listed counts as empty: the server
                refuses the first layer if there is no such material.
            dry_run: Only look: the result's `diff` tells what would be done; where it is
                `conflicting`, nothing would be, but an error be raised.
            on_progress: Called with the status of each layer, from the substrate up to the first
                that fails. What it raises ends the call.

        Returns:
            What there was to do, and what became of each layer; see `StackResult`.

        Raises:
            TypeError: An argument is of the wrong type; nothing was sent.
            ValueError: The layers were declared for another sample; nothing was sent.
            ConflictError: The server has something else: the message shows what. Nothing was
                written, unless `fates` has layers that were added before.
            AtomscaleError: As for `ensure_layer`. Its `fates` tell what became of each layer.
        """
        flow = _operations.ensure_stack(self._settings, declared, sample_id, on_progress, dry_run)
        return self._driver.run(flow)

    def call(self, operation: ModuleType, /, **parameters: Any) -> Any:
        """Any operation of the spec, with this client's authentication, limits, retries and errors.

        Args:
            operation: A module of `atomscale_target_materials_api.api`.
            **parameters: The operation's parameters by the names of the generated code; the request
                body as `body`.

        Returns:
            What the spec declares for success; None for a 204 that it documents.

        Raises:
            TypeError: A parameter is missing, unknown or of the wrong type; nothing was sent.
            ValueError: A parameter is out of range; nothing was sent.
            AtomscaleError: As for the other methods.

        Example:
            from atomscale_target_materials_api.api.target_materials import list_target_materials

            rows = client.call(list_target_materials)
        """
        return self._driver.run(_operations.call(self._settings, operation, parameters))

    def close(self) -> None:
        """Closes the connections; the client cannot be used any more."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _awaited(
    method: Callable[Concatenate[Client, P], T],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """A method of `Client` only hands a flow to its driver: that of `AsyncClient` is awaited."""

    @wraps(method)
    async def awaited(client: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return await method(client, *args, **kwargs)  # type: ignore[misc]

    return awaited


class AsyncClient(_Client[httpx.AsyncBaseTransport]):
    """As `Client`, for asyncio: the same methods, awaited.

    A second event loop starts with fresh connections.
    """

    _parts = AsyncTransport, AsyncDriver
    _driver: AsyncDriver

    list_target_materials = _awaited(Client.list_target_materials)
    add_layer = _awaited(Client.add_layer)
    ensure_layer = _awaited(Client.ensure_layer)
    ensure_stack = _awaited(Client.ensure_stack)
    call = _awaited(Client.call)

    async def aclose(self) -> None:
        """As `Client.close`, awaited."""
        await self._driver.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
