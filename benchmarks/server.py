"""A canned server in a process of its own: fixed bytes over HTTP/1.1, kept alive."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .rows import body

ADDED = {
    "id": 100, "layer_id": 2, "sample_id": 42, "composition_string": "SrTiO3",
    "element_dict": {"Sr": 1, "Ti": 1, "O": 3}, "orientation": "001", "space_group": "Pm-3m",
    "mp_id": "mp-5229",
}  # fmt: skip
CONTENT = {b"GET": body(1), b"POST": json.dumps(ADDED).encode()}
ANSWERS = {
    method: b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
    % (len(content), content)
    for method, content in CONTENT.items()
}
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Canned(asyncio.Protocol):
    """Answers each whole request by its method."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing has come in yet."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self.transport = transport
        self.unread = b""

    def data_received(self, data: bytes) -> None:
        """Part of a request, one, or several."""
        self.unread += data
        while (end := self.unread.find(b"\r\n\r\n")) > 0:
            length = LENGTH.search(self.unread[:end])
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.unread) < whole:
                return
            self.transport.write(ANSWERS[self.unread.partition(b" ")[0]])
            self.unread = self.unread[whole:]


@contextmanager
def serving() -> Iterator[str]:
    """Its base URL, while the block lasts."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout  # noqa: S101
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
