"""Who makes the calls of a soak: threads, tasks of two event loops, and forked children."""

import asyncio
import faulthandler
import gc
import os
import pickle
import signal
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from atomscale_target_materials import AsyncClient, Client
from atomscale_target_materials.sandbox import Sandbox

from .calls import TIMEOUT, Call, Clients, Finding, asked
from .ledger import Ledger, open_files

THREADS, TASKS = 8, 16
PATIENCE = 30
"""Seconds for a forked child, which may hang."""


async def cancel(task: asyncio.Future[Any], call: Call) -> None:
    """As often as it is said, a while after it has begun: some turns of the loop, or some time."""
    if call.cancelled and call.moment < 0.5:
        await turns(int(100 * call.moment))
    elif call.cancelled:
        await asyncio.sleep(0.1 * (call.moment - 0.5))
    for _ in range(call.cancelled):
        task.cancel()
        await turns(int(1000 * call.moment) % 4)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Held:
    """What a process holds: what it has more later on has leaked."""

    def __init__(self) -> None:
        self._files, self._threads = open_files(), {*threading.enumerate()}

    def leaked(self) -> Iterator[Finding]:
        gc.collect()
        for number, link in open_files().items() - self._files.items():
            yield "leaked", f"the file {number} is open: {link}"
        for thread in {*threading.enumerate()} - self._threads:
            yield "leaked", f"{thread} still runs"


class Crew:
    """All that call at once, in one process, with the same clients."""

    def __init__(self, base_url: str, ledger: Ledger) -> None:
        def of(kind: Any) -> Clients:
            keys = Sandbox.api_key, "wrong"
            return Clients(*(kind(key, base_url=base_url, timeout=TIMEOUT) for key in keys))

        self._sync, self._async, self._ledger = of(Client), of(AsyncClient), ledger
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()

    async def begin(self) -> None:
        """One call of each: Python itself does not bear a fork in the midst of an import."""
        self._sync.good.list_target_materials()
        await self._async.good.list_target_materials()

    async def carry_out(self, calls: Sequence[Call]) -> None:
        """All of them, by the workers that they name; at the end nothing is under way."""
        of = {each: [x for x in calls if x.worker == each] for each in {x.worker for x in calls}}
        forked = of.get("forked thread", []) + of.get("forked task", [])
        work: list[Callable[[], None]] = [
            partial(self._call, each) for each in of.get("thread", [])
        ]
        # In the middle: so others are in the midst of their calls.
        for half in (forked[::2], forked[1::2]):
            work.insert(len(work) // 2, partial(self._fork, half))
        await asyncio.gather(
            asyncio.to_thread(self._threads, work),
            asyncio.to_thread(asyncio.run, self._loop(of.get("second loop", []))),
            self._tasks(of.get("task", [])),
        )
        await self._rest()
        self._look_at_threads()

    async def aclose(self) -> None:
        """Closes the clients."""
        for each in (self._async.good, self._async.bad):
            await each.aclose()
        self._close()

    def _close(self) -> None:
        for each in (self._sync.good, self._sync.bad):
            each.close()

    def _threads(self, work: Sequence[Callable[[], None]]) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda each: each(), work))

    def _call(self, call: Call) -> None:
        values: list[Any] = []
        with self._ledger.noting(call, values) as present:
            values.append(asked(call, self._sync, present))

    async def _loop(self, calls: Sequence[Call]) -> None:
        await self._tasks(calls)
        await self._rest()

    async def _tasks(self, calls: Sequence[Call]) -> None:
        todo = iter(calls)

        async def one_after_the_other() -> None:
            for call in todo:
                await self._task(call)

        await asyncio.gather(*(one_after_the_other() for _ in range(TASKS)))

    async def _task(self, call: Call) -> None:
        values: list[Any] = []
        with self._ledger.noting(call, values) as present:
            task = asyncio.ensure_future(asked(call, self._async, present))
            await cancel(task, call)
            values.append(await task)

    async def _rest(self) -> None:
        """When nothing is under way in this loop no task may be left, no connection be in use."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            _, tasks = await asyncio.wait(tasks, timeout=5)
        self._ledger.findings += [("leaked", f"{each} still runs") for each in tasks]
        loop = asyncio.get_running_loop()
        for each in (self._async.good, self._async.bad):
            self._look_at(*each._driver._transport._pools.get(loop, ())[:1])

    def _look_at_threads(self) -> None:
        for each in (self._sync.good, self._sync.bad):
            pools = each._driver._transport._pools
            self._look_at(*(pools[pid] for pid in pools if pid == os.getpid()))

    def _look_at(self, *pools: Any) -> None:
        """No connection of a pool may be in use, none of its requests be waiting."""
        for pool in pools:
            used = [each for each in pool.connections if not (each.is_idle() or each.is_closed())]
            for each in {*used, *pool._requests} - {*self._seen}:
                self._seen.add(each)
                self._ledger.findings.append(("leaked", f"{each} is left in use"))

    def _fork(self, calls: Sequence[Call]) -> None:
        """A child that calls with the clients of its parent, while others do too."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            self._live(calls, writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read()
        os.waitpid(child, 0)
        records, findings = (
            pickle.loads(told) if told else ([], [("stray", "a forked child ended, or hung")])
        )
        self._ledger.records += records
        self._ledger.findings += findings

    def _live(self, calls: Sequence[Call], writing: int) -> None:
        # What the parent's other threads held is nobody's here: it is not to be missed.
        gc.freeze()
        faulthandler.register(signal.SIGALRM, chain=True)
        signal.alarm(PATIENCE)
        try:
            held = Held()
            self._ledger.records, self._ledger.findings = [], []
            threads = [partial(self._call, each) for each in calls if "thread" in each.worker]
            tasks = [each for each in calls if "task" in each.worker]
            with ThreadPoolExecutor(1) as pool:
                ended = pool.submit(asyncio.run, self._loop(tasks))
                self._threads(threads)
                ended.result()
            self._look_at_threads()
            self._close()
            self._ledger.findings += held.leaked()
            told = pickle.dumps((self._ledger.records, self._ledger.findings))
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(told)
        except BaseException:  # noqa: BLE001 - whatever it is, the parent's code is not run
            traceback.print_exc()
        finally:
            os._exit(0)
