"""Run in a fresh process: what the rows of one answer take by one way, as two numbers."""

import gc
import sys
import tracemalloc

from .rows import body
from .ways import DECODERS


def measure(way: str, rows: int) -> tuple[float, float]:
    """Bytes a row: held when the answer itself is dropped, and at the peak, the answer included."""
    decode = DECODERS[way]
    decode(body(1))
    source = bytearray(body(rows))
    gc.collect()
    tracemalloc.start()
    answer = bytes(source)
    kept = decode(answer)
    _, peak = tracemalloc.get_traced_memory()
    del answer
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    return held / len(kept), peak / len(kept)


if __name__ == "__main__":
    print(*measure(sys.argv[1], int(sys.argv[2])))
