"""What is measured, and how much of it in which setting."""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from . import fresh
from .rows import SHAPES, body
from .sampling import OURS, Results, Samples, cpu, rounds
from .server import serving
from .ways import DECODERS, LAYER, AsyncList, Calls, async_lists, sync_calls

ROOT = Path(__file__).parents[1]
PROVIDER = ROOT / ".venv-provider" / "bin" / "python"


class Setting(NamedTuple):
    """How much is measured."""

    sizes: list[int]
    shape_rows: int
    rounds: int
    few_rounds: int
    """For many rows, and for shapes."""
    rows: int
    """Rows that a sample decodes, at least."""
    calls: int
    """Calls in a sample."""
    at_once: list[int]
    threads: list[int]
    processes: int
    memory_rows: int


SETTINGS = {
    "smoke": Setting([1, 100, 200], 5, 1, 1, 10, 2, [1, 2], [2], 1, 20),
    "quick": Setting(
        [1, 10, 100, 1_000, 10_000, 50_000], 1_000, 9, 5, 2_000, 100, [1, 8, 32, 64], [], 7, 10_000
    ),
    "full": Setting(
        [1, 10, 100, 1_000, 10_000, 50_000, 200_000],
        1_000, 15, 7, 5_000, 200, [1, 8, 32, 64], [1, 8, 32, 64], 21, 50_000,
    ),
}  # fmt: skip


def measure(setting: Setting, *, provider: bool) -> Results:
    """Everything, axis by axis."""
    results: Results = {}
    with serving() as url:
        parts: dict[str, Callable[[], Results]] = {
            "decoding": partial(_decode, setting),
            "memory": partial(_memory, setting),
            "calls": partial(_calls, url, setting),
            "async calls": partial(_at_once, url, setting),
            "imports and first calls": partial(_processes, url, setting),
        }
        if provider:
            parts["the provider's SDK"] = partial(_provider, url, setting)
        for name, part in parts.items():
            start = time.monotonic()
            print(f"measuring {name}: ", end="", flush=True)
            results |= part()
            print(f"{time.monotonic() - start:.0f} seconds")
    return results


def _decode(setting: Setting) -> Results:
    results: Results = {"decode": {}, "shapes": {}}
    for rows in setting.sizes:
        count = setting.rounds if rows <= 10_000 else setting.few_rounds
        results["decode"][str(rows)] = _decoding(body(rows), rows, setting, count)
    for shape in SHAPES:
        answer, rows = body(setting.shape_rows, shape), setting.shape_rows
        results["shapes"][shape] = _decoding(answer, rows, setting, setting.few_rounds)
    return results


def _decoding(answer: bytes, rows: int, setting: Setting, count: int) -> Samples:
    times = max(1, setting.rows // rows)
    ways = {name: cpu(partial(decode, answer), times, rows) for name, decode in DECODERS.items()}
    return rounds(ways, count)


def _memory(setting: Setting) -> Results:
    held, peak = fresh.memory([*DECODERS], setting.memory_rows)
    return {"memory": {"held": held, "peak": peak}}


def _calls(url: str, setting: Setting) -> Results:
    results: Results = {"calls": {}, "threads": {}}
    with ExitStack() as stack:
        clients = sync_calls(url, stack)
        for operation in Calls._fields:
            ways = {
                name: cpu(getattr(calls, operation), setting.calls)
                for name, calls in clients.items()
            }
            results["calls"][operation] = rounds(ways, setting.rounds)
        for threads in setting.threads:
            pool = stack.enter_context(ThreadPoolExecutor(threads))
            ways = {
                name: cpu(
                    partial(_in_threads, pool, clients[name].list, setting.calls), 1, setting.calls
                )
                for name in ("httpx", "requests", OURS)
            }
            results["threads"][str(threads)] = rounds(ways, setting.rounds)
    return results


def _in_threads(pool: ThreadPoolExecutor, call: Callable[[], object], times: int) -> None:
    for done in [pool.submit(call) for _ in range(times)]:
        done.result()


def _at_once(url: str, setting: Setting) -> Results:
    results: dict[str, Samples] = {}
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        lists = runner.run(async_lists(url, stack))
        for many in setting.at_once:
            batches = max(1, setting.calls // many)
            ways = {
                name: cpu(partial(_run, runner, call, many, batches), 1, many * batches)
                for name, call in lists.items()
            }
            results[str(many)] = rounds(ways, setting.rounds)
        runner.run(stack.aclose())
    return {"async": results}


def _run(runner: asyncio.Runner, call: AsyncList, many: int, batches: int) -> None:
    async def run() -> None:
        for _ in range(batches):
            await asyncio.gather(*[call() for _ in range(many)])

    runner.run(run())


def _processes(url: str, setting: Setting) -> Results:
    netloc = urlsplit(url).netloc
    calls = {name: code.format(netloc=netloc) for name, code in fresh.FIRST_CALLS.items()}
    results: Results = {}
    for axis, codes in (("import", fresh.IMPORTS), ("first call", calls)):
        wall, process = fresh.programs(codes, setting.processes)
        results[axis] = {"wall": wall, "CPU": process}
    return results


def _provider(url: str, setting: Setting) -> Results:
    arguments = [url, json.dumps(LAYER), str(setting.rounds), str(setting.calls)]
    command = [str(PROVIDER), "-m", "benchmarks.provider", *arguments]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)  # noqa: S603
    results: Results = json.loads(run.stdout)
    return results
