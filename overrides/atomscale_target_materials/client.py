"""The clients: `Client`, and `AsyncClient` to be awaited. What they do is in `_operations`."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

import attrs
import httpx

from . import _operations
from ._drivers import AsyncDriver, Driver
from ._operations import UNSET, Unset
from ._secrets import Secret
from ._settings import (
    DEFAULT_MAX_RESPONSE_BYTES,
    DEFAULT_MAX_TRIES,
    DEFAULT_TIMEOUT,
    Settings,
)
from ._transport import AsyncTransport, Transport, ssl_context_for
from .stacks import TargetMaterials

if TYPE_CHECKING:
    from atomscale_target_materials_api.models import ElementDict, ElementDictCreate, Layer

    Amounts = Mapping[str, float] | ElementDict | ElementDictCreate

__all__ = ["AsyncClient", "Client"]


class _Client:
    """What both clients are: settings, and a driver that holds the connections."""

    _settings: Settings
    _portable: bool
    """Can another process make the same client?"""

    def _configure(
        self,
        key: Secret,
        base_url: str | None,
        limits: tuple[float, int, int],
        ssl_context: ssl.SSLContext | None,
        transport: object,
    ) -> ssl.SSLContext | None:
        """What both constructors settle; returns the certificates that our own transport needs."""
        self._settings = Settings.resolve(key, Secret(base_url), *limits)
        self._portable = ssl_context is None and transport is None
        return None if transport else ssl_context_for(self._settings.base_url, ssl_context)

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

    def __copy__(self) -> Self:
        return self.with_options()

    def __deepcopy__(self, _: object) -> Self:
        return self.with_options()

    def __repr__(self) -> str:
        settings = self._settings
        return (
            f"<{type(self).__name__} base_url={settings.base_url!r} "
            f"timeout={settings.timeout:g} max_tries={settings.max_tries}>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._portable:
            raise TypeError("a client with its own ssl_context or transport cannot be pickled")
        options = attrs.asdict(self._settings, filter=lambda field, _: "key" not in field.name)
        return _unpickled, (type(self), options)


def _unpickled(cls: Any, options: dict[str, Any]) -> Any:
    """The client anew: a pickle holds no key, so it is read from this process's environment."""
    return cls(**options)


class Client(_Client):
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

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        max_tries: int = DEFAULT_MAX_TRIES,
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        # From here on no frame, and so no traceback, holds the key as a plain text.
        key, api_key = Secret(api_key), None
        limits = timeout, max_tries, max_response_bytes
        context = self._configure(key, base_url, limits, ssl_context, transport)
        self._driver = Driver(transport or Transport(context))

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
        self,
        *,
        layer_id: int,
        sample_id: int | None | Unset = UNSET,
        composition_string: str | None | Unset = UNSET,
        element_dict: Amounts | None | Unset = UNSET,
        orientation: str | None | Unset = UNSET,
        space_group: str | None | Unset = UNSET,
        mp_id: str | None | Unset = UNSET,
        id: int | None | Unset = UNSET,  # noqa: A002 - the API's own name
    ) -> Layer:
        """Adds one layer to a target material's stack (API reference, A2).

        An argument that is left out is not sent; an explicit None is sent as null. The server may
        fill in what follows from the composition. The API offers no idempotency keys: after an
        error whose `outcome_unknown` is True, look before you send it again.

        Args:
            layer_id: Position of the layer within the stack; the lowest lies on the substrate.
            sample_id: ID of the target material (`sample_id` of its list entries) that the layer is
                linked to.
            composition_string: Chemical composition, for example "BaTiO3".
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
        arguments = locals()  # of which self is none of the API's
        return self._driver.run(_operations.add_layer(self._settings, arguments))

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


class AsyncClient(_Client):
    """As `Client`, for asyncio. A second event loop starts with fresh connections."""

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        max_tries: int = DEFAULT_MAX_TRIES,
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        # From here on no frame, and so no traceback, holds the key as a plain text.
        key, api_key = Secret(api_key), None
        limits = timeout, max_tries, max_response_bytes
        context = self._configure(key, base_url, limits, ssl_context, transport)
        self._driver = AsyncDriver(transport or AsyncTransport(context))

    async def list_target_materials(self) -> TargetMaterials:
        """As `Client.list_target_materials`, awaited."""
        return await self._driver.run(_operations.list_target_materials(self._settings))

    async def add_layer(
        self,
        *,
        layer_id: int,
        sample_id: int | None | Unset = UNSET,
        composition_string: str | None | Unset = UNSET,
        element_dict: Amounts | None | Unset = UNSET,
        orientation: str | None | Unset = UNSET,
        space_group: str | None | Unset = UNSET,
        mp_id: str | None | Unset = UNSET,
        id: int | None | Unset = UNSET,  # noqa: A002 - the API's own name
    ) -> Layer:
        """As `Client.add_layer`, awaited."""
        arguments = locals()
        return await self._driver.run(_operations.add_layer(self._settings, arguments))

    async def call(self, operation: ModuleType, /, **parameters: Any) -> Any:
        """As `Client.call`, awaited."""
        return await self._driver.run(_operations.call(self._settings, operation, parameters))

    async def aclose(self) -> None:
        """As `Client.close`, awaited."""
        await self._driver.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
