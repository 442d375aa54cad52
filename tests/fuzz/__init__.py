"""Fuzzing: `make test` runs it in short, the same each time; `make fuzz` at random, for longer."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
"""Of each property, drawn at random; 0: a few, always the same, so that no test fails by chance."""
bounded = settings(
    derandomize=not EXAMPLES,
    max_examples=EXAMPLES or 150,
    # A machine that is busy is no finding; and all examples share the connections of a test.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
