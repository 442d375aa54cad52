"""What `make fuzz` runs under atheris: `python -m tests.fuzz.target` and libFuzzer's options."""

import json
import random
import sys

import atheris
import attrs

with atheris.instrument_imports(include=["atomscale_target_materials"]):
    from .judge import Answer, judge

from .damage import damaged


def mutated(data: bytes, size: int, seed: int) -> bytes:
    """An answer whose JSON is damaged in one place; half of the time its bytes are."""
    chance, answer = random.Random(seed), Answer.of(data)
    if chance.random() < 0.5:
        return atheris.Mutate(data, size)  # type: ignore[no-any-return]
    try:
        value = damaged(json.loads(answer.body.decode()), chance)
        body = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode(errors="replace")
    except (ValueError, RecursionError):
        return atheris.Mutate(data, size)  # type: ignore[no-any-return]
    return bytes(attrs.evolve(answer, body=body))[:size]


if __name__ == "__main__":
    atheris.Setup(sys.argv, lambda data: judge(Answer.of(data)), custom_mutator=mutated)
    atheris.Fuzz()
