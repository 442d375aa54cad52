"""The sandbox behind a proxy that misbehaves at random, as a process of its own.

    python -m tests.soak.server DB SEED

It prints its address. A line that it is sent is answered when all is quiet: with how often each
fault came to pass, and how often each write arrived, since the line before.
"""

import asyncio
import contextlib
import json
import random
import re
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal, get_args

from atomscale_target_materials.sandbox import Sandbox

from ..faults.proxy import RESET, part
from ..server import answer as made
from ..server import message

Fault = Literal[
    "resets before it has read", "resets after it has read", "closes after it has read",
    "delivers late", "answers 429", "answers 503", "answers 504, but has done it",
    "loses the answer", "cuts the answer", "drips the answer", "is slow", "answers twice",
    "closes an idle connection",
]  # fmt: skip
FAULTS = get_args(Fault)
SHARE = 0.25
"""Of the requests that meet a fault."""
MARK = re.compile(rb'"mp_id": ?"(.*?)"')
# Larger ones may not leave in one go. What comes after the next request cannot be told from its
# answer, and nothing is promised of it.
SMALL = 16 * 1024
REFUSALS = {
    "answers 429": made(429, {"detail": "too many requests"}, Retry_After="0"),
    "answers 503": made(503, {"detail": "out of order"}),
}
QUIET = 20
"""Turns of the event loop without work: what is in its sockets has been read by then."""

Writer = asyncio.StreamWriter
Ends = tuple[asyncio.StreamReader, Writer]


def reset(client: Writer) -> Literal[False]:
    """Ends a connection without good-bye."""
    sock = client.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.transport.abort()
    return False


class Proxy:
    """Between clients and the sandbox."""

    def __init__(self, upstream: int, seed: str) -> None:
        self.met: Counter[str] = Counter()
        self.arrived: Counter[str] = Counter()
        self._upstream, self._random, self._busy = upstream, random.Random(seed), 0
        # The event loop lets go of those whose client is gone.
        self._tasks: set[asyncio.Task[Any] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        """One connection."""
        self._tasks.add(asyncio.current_task())
        with self._busily():
            server = await asyncio.open_connection("127.0.0.1", self._upstream)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._one(reader, writer, server):
                pass
        for each in (writer, server[1]):
            each.close()
        self._tasks.remove(asyncio.current_task())

    async def quiet(self) -> None:
        """Waits until all that was sent has been dealt with."""
        turns = 0
        while turns < QUIET:
            await asyncio.sleep(0.001)
            turns = 0 if self._busy else turns + 1

    @contextlib.contextmanager
    def _busily(self) -> Iterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def _one(self, reader: asyncio.StreamReader, writer: Writer, server: Ends) -> bool:
        """May the client send another request on this connection?"""
        first = await reader.readexactly(1)
        fault = self._random.choice(FAULTS) if self._random.random() < SHARE else "none"
        self.met[fault] += 1
        if fault == "resets before it has read":
            return reset(writer)
        # It may never come whole: so this is not what is waited for.
        request = first + await message(reader)
        with self._busily():
            return await self._deal_with(request, fault, writer, server)

    async def _deal_with(self, request: bytes, fault: str, client: Writer, server: Ends) -> bool:
        mark = MARK.search(request)
        if mark and fault != "answers 429":
            self.arrived[mark[1].decode()] += 1
        if fault in REFUSALS:
            client.write(REFUSALS[fault])
            return True
        if fault == "closes after it has read":
            return False
        if fault == "resets after it has read":
            return reset(client)
        if fault == "delivers late":
            reset(client)
            await asyncio.sleep(0.2 * self._random.random())
        server[1].write(request)
        return await self._hand_on(await message(server[0]), fault, client)

    async def _hand_on(self, answer: bytes, fault: str, client: Writer) -> bool:
        share, write = self._random.random(), client.write
        if fault == "is slow":
            await asyncio.sleep(0.1 + 0.3 * share)
        elif fault == "drips the answer":
            while len(answer) > 100:
                write(answer[: len(answer) // 2])
                answer = answer[len(answer) // 2 :]
                await asyncio.sleep(0.01)
                await client.drain()
        elif fault == "cuts the answer":
            write(part(answer, share))
        elif fault == "answers 504, but has done it":
            answer = made(504, {"detail": "no answer in time"})
        elif fault == "answers twice" and len(answer) < SMALL:
            answer *= 2
        if fault in ("delivers late", "loses the answer", "cuts the answer"):
            return reset(client) if share < 0.5 else False
        write(answer)
        if fault == "closes an idle connection":
            await asyncio.sleep(0.05 * share)
            return False
        return True


async def main(db: str, seed: str) -> None:
    with Sandbox(db) as sandbox:
        proxy = Proxy(int(sandbox.base_url.rpartition(":")[2]), seed)
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, backlog=256)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            await proxy.quiet()
            told: dict[str, Any] = {"met": proxy.met, "arrived": proxy.arrived}
            print(json.dumps(told), flush=True)
            proxy.met.clear()
            proxy.arrived.clear()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
