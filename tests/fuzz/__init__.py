"""Fuzzing: `make test` runs it in short, the same each time; `make fuzz` at random, for longer."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
"""Of each property, drawn at random; 0: a few, always the same, so that no test fails by chance."""
bounded = settings(
    derandomize=not EXAMPLES,
    max_examples=EXAMPLES or 150,
    deadline=None,  # a machine that is busy is no hang
    # All examples share the connections of a test.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
