"""Completes many declared stacks at once with `AsyncClient` and `asyncio.TaskGroup`.

One task for each sample, so each stack has one writer. A stack that fails does not stop the others;
at the end all failures are raised as one `ExceptionGroup`. Run it again to complete the rest.

    pip install atomscale-target-materials

It uses the server of ATOMSCALE_API_ENDPOINT with the key of ATOMSCALE_API_KEY; for example a
sandbox's.
"""

import asyncio
import sys
from collections.abc import Mapping
from functools import partial
from traceback import format_exception_only

from atomscale_target_materials import AsyncClient, AtomscaleError, ConflictError, LayerStack

AT_ONCE = 8  # stacks: more would only queue at the server


def capped(*below: str) -> LayerStack:
    """Layers from the substrate up, and a cap of strontium titanate on them."""
    layers = [{"composition_string": each, "orientation": "001"} for each in (*below, "SrTiO3")]
    return LayerStack.declare(layers=layers)


DECLARED = {  # sample_id -> the stack as it shall be
    42: capped("BaTiO3"),
    44: capped("La0.7Sr0.3MnO3"),
    45: capped("SrRuO3", "PbZr0.2Ti0.8O3", "SrRuO3"),
    46: capped("LaAlO3"),
}


async def ensure_all(declared: Mapping[int, LayerStack]) -> None:
    """Completes the stacks; raises an ExceptionGroup of what failed."""
    failures: list[AtomscaleError] = []
    turn = asyncio.Semaphore(AT_ONCE)

    async def ensure(sample_id: int, stack: LayerStack) -> None:
        tell = partial(print, f"sample {sample_id}:")
        try:
            async with turn:
                await client.ensure_stack(stack, sample_id=sample_id, on_progress=tell)
                tell("complete")
        except AtomscaleError as error:  # Left to the TaskGroup, it would cancel the other writes.
            error.add_note(f"sample {sample_id}")
            failures.append(error)

    async with AsyncClient() as client, asyncio.TaskGroup() as tasks:
        for sample_id, stack in declared.items():
            tasks.create_task(ensure(sample_id, stack))
    if failures:
        raise ExceptionGroup("some stacks are not complete", failures)


def told(group: ExceptionGroup[AtomscaleError]) -> str:
    """The errors of a group, each with its note."""
    return "".join(line for error in group.exceptions for line in format_exception_only(error))


def main() -> None:
    """Tells of each layer, and then what is left to do."""
    left = []
    try:
        asyncio.run(ensure_all(DECLARED))
    except* ConflictError as group:
        left.append(f"Settle by hand, then run this again:\n{told(group)}")
    except* AtomscaleError as group:
        left.append(f"Run this again when the cause is gone:\n{told(group)}")
    sys.exit("".join(left).rstrip() or None)


if __name__ == "__main__":
    main()
