import asyncio
import os
import re
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from atomscale_target_materials import AsyncClient, Client, _drivers, _transport
from atomscale_target_materials.sandbox import Sandbox

KEY = "sk-test-0123456789abcdef"


class Caller:
    """Makes the same call on the sync and on the async client.

    Pauses are noted, not slept: the client's clock is put forward instead.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pauses: list[float] = []

    def __call__(self, call: Callable[[Any], Any], key: str | None = KEY, **options: Any) -> Any:
        clock = SimpleNamespace(monotonic=self._monotonic, time=time.time)
        with pytest.MonkeyPatch.context() as patch:
            for module in (_drivers, _transport):
                patch.setattr(module, "time", clock)
            return (
                self._sync(call, key, options)
                if self.kind == "sync"
                else asyncio.run(self._async(call, key, options))
            )

    def _monotonic(self) -> float:
        return time.monotonic() + sum(self.pauses)

    def _sync(self, call: Callable[[Any], Any], key: str | None, options: dict[str, Any]) -> Any:
        with Client(key, **options) as client:
            client._driver._sleep = self.pauses.append
            return call(client)

    async def _async(
        self, call: Callable[[Any], Any], key: str | None, options: dict[str, Any]
    ) -> Any:
        async def note(seconds: float) -> None:
            self.pauses.append(seconds)

        async with AsyncClient(key, **options) as client:
            client._driver._sleep = note
            return await call(client)


@pytest.fixture(params=["sync", "async"])
def caller(request: pytest.FixtureRequest) -> Caller:
    return Caller(request.param)


def surroundings() -> list[str]:
    """The variables of the environment that a client heeds."""
    heeded = r"(ATOMSCALE|AS)_API_\w+|\w+_PROXY|SSL_CERT_\w+"
    return [name for name in os.environ if re.fullmatch(heeded, name.upper())]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in surroundings():
        monkeypatch.delenv(name)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox
