"""What only a fresh process shows: imports, the first call, memory."""

import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from .sampling import OURS, Samples, rounds

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys, time
# Where click happens to be installed, httpx loads its command line: not in a plain install.
sys.modules["click"] = None
wall, cpu = time.perf_counter(), time.process_time()
exec(sys.argv[1])
print(time.perf_counter() - wall, time.process_time() - cpu)
"""
IMPORTS = {
    "httpx": "import httpx",
    "requests": "import requests",
    "generated": "import atomscale_target_materials_api",
    OURS: "import atomscale_target_materials",
    f"{OURS}, `Client`": "from atomscale_target_materials import Client",
}
FIRST_CALLS = {
    "http.client": """
import http.client, json
connection = http.client.HTTPConnection("{netloc}")
connection.request("GET", "/target-materials/", headers={{"X-API-KEY": "key"}})
json.loads(connection.getresponse().read())
""",
    "httpx": """
import httpx
client = httpx.Client(base_url="http://{netloc}", headers={{"X-API-KEY": "key"}})
client.get("/target-materials/").json()
""",
    "requests": """
import requests
session = requests.Session()
session.headers["X-API-KEY"] = "key"
session.get("http://{netloc}/target-materials/").json()
""",
    "generated": """
from atomscale_target_materials_api import AuthenticatedClient
from atomscale_target_materials_api.api.target_materials import list_target_materials
client = AuthenticatedClient("http://{netloc}", "key", prefix="", auth_header_name="X-API-KEY")
list_target_materials.sync_detailed(client=client)
""",
    OURS: """
from atomscale_target_materials import Client
client = Client("key", base_url="http://{netloc}")
client.list_target_materials()
""",
}


def _numbers(*arguments: str) -> tuple[float, float]:
    command = [sys.executable, *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    first, second = map(float, run.stdout.split())
    return first, second


def programs(codes: Mapping[str, str], count: int) -> tuple[Samples, Samples]:
    """Wall and CPU seconds of each code in fresh processes; starting Python is not counted."""
    ways = {name: partial(_numbers, "-P", "-c", PROGRAM, code) for name, code in codes.items()}
    return _both(ways, count)


def memory(names: list[str], rows: int) -> tuple[Samples, Samples]:
    """Bytes a row, held and at the peak. They hardly vary: one round is enough."""
    ways = {name: partial(_numbers, "-m", "benchmarks.memory", name, str(rows)) for name in names}
    return _both(ways, 1)


def _both(
    ways: Mapping[str, "partial[tuple[float, float]]"], count: int
) -> tuple[Samples, Samples]:
    measured = rounds(ways, count)
    first, second = (
        {name: [pair[index] for pair in pairs] for name, pairs in measured.items()}
        for index in (0, 1)
    )
    return first, second
