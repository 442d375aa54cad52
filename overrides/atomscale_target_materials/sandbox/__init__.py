"""A sandbox server: the API's two operations over real HTTP, on a real database (SQLite).

For demos, for our tests and for yours. It is made from the shipped spec: every request and every
answer is checked against `openapi.json`. Needs the extra `sandbox`.

    from atomscale_target_materials import Client
    from atomscale_target_materials.sandbox import Sandbox

    with Sandbox() as sandbox, Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        print(client.list_target_materials().stacks())

By itself: `python -m atomscale_target_materials.sandbox --port 8000 --db stacks.db`.

Where the API reference is silent, these are the sandbox's own choices, not the provider's:

- 401 without a key or with an unknown one; 403 for a key without the scope `read` (GET) or
  `write` (all else); 422 in FastAPI's form for a body that the spec does not allow; 404 for an
  unknown `sample_id`; 409 for a taken position or a taken `id`; 501 for an operation of the spec
  that it does not implement. A layer is added with 201.
- 413 for a body of more than 1 MiB, before all else; after 32 MiB the connection is closed. 503
  when others keep the database busy for ten seconds. A 422 with very many faults only counts them.
- A layer without `sample_id` is stored unlinked and not listed.
- The `id` of a list entry is that of the target material, so entries of one sample share it; a
  layer's record has an `id` of its own. No `id` ever equals a `sample_id`.
- `element_dict` is filled in from a composition that can be read as a formula (of at most 1000
  characters), `space_group` and `mp_id` for a few known materials.
- Entries come in the order in which they were added, with a few undocumented fields; one target
  material has no layers.
"""

import asyncio
import socket
import threading
from os import PathLike
from typing import Self

try:
    import h11
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from ._app import application
    from ._contract import load_spec
    from ._store import Store
except ImportError:
    raise ImportError(
        "the sandbox needs an extra: pip install 'atomscale-target-materials[sandbox]'"
    ) from None

__all__ = ["Sandbox"]

GRACE_SECONDS = 1.0
"""How long clients may go on with their requests when the sandbox stops."""


class _Protocol(H11Protocol):
    """Copes with garbage where uvicorn, by itself, would log a traceback."""

    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is not h11.MUST_CLOSE:  # after the client's last request
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # the answer to a HEAD has no text
            self.transport.abort()


class _Server(uvicorn.Server):
    """Lets go of clients when it stops: to cancel their requests would log tracebacks."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._let_go)
        await super().shutdown(sockets)

    def _let_go(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class Sandbox:
    """A sandbox server on a loopback port, in a thread of its own, while the `with` block lasts.

    Args:
        path: SQLite file that keeps the stacks; None: in memory, seeded anew.
        port: TCP port on 127.0.0.1; 0: a free one.

    Attributes:
        api_key: A key with the scopes `read` and `write`.
        read_only_api_key: A key with the scope `read` alone.
    """

    api_key = "sandbox-key-for-read-and-write"
    read_only_api_key = "sandbox-key-for-read-only"

    def __init__(self, path: str | PathLike[str] | None = None, *, port: int = 0) -> None:
        self._path = path
        self._port = port

    @property
    def base_url(self) -> str:
        """Address of the running server, for example `http://127.0.0.1:8000`."""
        if not self._port:
            raise RuntimeError("the sandbox has no address before it is started")
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Starts to serve; `with` does it."""
        spec = load_spec()
        symbols = spec["components"]["schemas"]["ElementDictCreate"]["propertyNames"]["enum"]
        self._store = Store(self._path, frozenset(symbols))
        try:
            self._socket = socket.create_server(("127.0.0.1", self._port))
        except (OSError, OverflowError):
            self._store.close()
            raise
        self._port = self._socket.getsockname()[1]
        scopes = {
            self.api_key: frozenset({"read", "write"}),
            self.read_only_api_key: frozenset({"read"}),
        }
        config = uvicorn.Config(
            application(spec, self._store, scopes),
            log_config=None,
            access_log=False,
            lifespan="off",
            http=_Protocol,
            ws="none",
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="sandbox", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stops to serve and closes the database; `with` does it."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
