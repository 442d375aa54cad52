"""`make bench-check`: instructions, which neither load nor clock changes, against a budget.

Callgrind counts them in one process for each group below; a call of `getloadavg` before and after
each piece of work makes it write down what it has counted, so that start-up is left out. What is
compared is the ratio to a peer that was counted in the same process, or for imports the same way.
"""

import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
TOLERANCE = 0.03
LOOSE = 0.10
REPEATS = 10
PAIRS = {
    "decode 1,000 rows": ("decode ours", "decode json.loads"),
    "list": ("list ours", "list httpx"),
    "add": ("add ours", "add httpx"),
    "import": ("import atomscale_target_materials", "import httpx"),
    "import Client": ("from atomscale_target_materials import Client", "import httpx"),
}
IMPORTS = sorted({code for pair in PAIRS.values() for code in pair if "import " in code})


def works() -> dict[str, Callable[[], object]]:
    """What is counted in one process; HTTP ends at a transport that answers at once."""
    import httpx  # noqa: PLC0415

    from atomscale_target_materials import Client  # noqa: PLC0415

    from . import rows, server, ways  # noqa: PLC0415

    def answer(request: httpx.Request) -> httpx.Response:
        content = server.CONTENT[request.method.encode()]
        return httpx.Response(200, headers={"content-type": "application/json"}, content=content)

    transport = httpx.MockTransport(answer)
    ours = ways.our_calls(Client("key", transport=transport))
    bare = ways.httpx_calls(
        httpx.Client(base_url="http://x", headers=ways.KEY, transport=transport)
    )
    body = rows.body(1_000)
    return {
        "decode ours": lambda: ways.ours(body),
        "decode json.loads": lambda: json.loads(body),
        "list ours": ours.list,
        "list httpx": bare.list,
        "add ours": ours.add,
        "add httpx": bare.add,
    }


def run_works() -> None:
    """In the child: each work, warm, between two marks."""
    for name, work in works().items():
        repeats = 1 if name.startswith("decode") else REPEATS
        work()
        work()
        gc.collect()
        gc.freeze()
        os.getloadavg()
        for _ in range(repeats):
            work()
        os.getloadavg()


WORKS = "from benchmarks.counts import run_works; run_works()"
IMPORT = "import os, sys; sys.modules['click'] = None; os.getloadavg(); {}; os.getloadavg()"


def counted(code: str) -> list[int]:
    """Instructions between the marks of a process that runs `code`."""
    environment = {"PYTHONHASHSEED": "0", "PATH": os.environ["PATH"]}
    child = [sys.executable, "-c", code]
    with tempfile.TemporaryDirectory() as folder:
        marked = ["--dump-before=getloadavg", f"--callgrind-out-file={folder}/out"]
        # The first run leaves compiled modules behind.
        for command in (child, ["valgrind", "--tool=callgrind", *marked, *child]):
            subprocess.run(  # noqa: S603
                command, cwd=HERE.parent, env=environment, check=True, capture_output=True
            )
        dumps = len([*Path(folder).glob("out.*")])
        return [_total(Path(folder, f"out.{number}")) for number in range(2, dumps + 1, 2)]


def _total(dump: Path) -> int:
    match = re.search(r"^totals: (\d+)", dump.read_text("utf-8"), re.MULTILINE)
    assert match  # noqa: S101 - callgrind writes it into each dump
    return int(match[1])


def ratios() -> dict[str, float]:
    """What each piece of work costs now, beside its peer."""
    counts = dict(zip(works(), counted(WORKS), strict=True))
    counts |= {code: counted(IMPORT.format(code))[0] for code in IMPORTS}
    return {name: counts[ours] / counts[peer] for name, (ours, peer) in PAIRS.items()}


def minor() -> str:
    """Ratios differ between minor versions of Python."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def verdict(now: float, budget: float | None) -> str:
    """What a ratio means beside its budget."""
    if budget is None:
        return "no budget"
    if now > budget * (1 + TOLERANCE):
        return "OVER BUDGET"
    return "far below: renew the budget" if now < budget * (1 - LOOSE) else "kept"


def main() -> int:
    """Prints the table; 1 when something is over its budget."""
    if not shutil.which("valgrind"):
        print("bench-check was NOT run: it needs valgrind (Linux: apt install valgrind)")
        return 0
    with (HERE / "budget.toml").open("rb") as file:
        budgets = tomllib.load(file).get(minor(), {})
    print(f"['{minor()}']  # instructions, as a ratio to the peer's")
    verdicts = []
    for name, now in ratios().items():
        verdicts.append(verdict(now, budgets.get(name)))
        budget = budgets.get(name, "none")
        print(f"{name!r} = {now:<8.3f} # budget {budget}: {verdicts[-1]}")
    return int("OVER BUDGET" in verdicts)


if __name__ == "__main__":
    sys.exit(main())
