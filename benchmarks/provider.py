"""Run by the provider's environment: its transport beside requests and httpx, to standard output.

The provider's SDK has no target materials; what it would use for them is its `BaseClient`.
"""

import json
import sys
from importlib.metadata import version
from typing import Any

import httpx
import requests
from atomscale.core.client import BaseClient

from .fresh import programs
from .sampling import Results, cpu, rounds

LIST, ADD = "/target-materials/", "/target-materials/layers/"
NAME = f"atomscale {version('atomscale')}"
KEY = {"X-API-KEY": "key"}


def measure(url: str, layer: dict[str, Any], count: int, times: int) -> Results:
    """CPU of list and add, and of imports."""
    theirs = BaseClient("key", url)
    session = requests.Session()
    session.headers.update(KEY)
    client = httpx.Client(base_url=url, headers=KEY)
    lists = {
        "requests": lambda: session.get(url + LIST).json(),
        "httpx": lambda: client.get(LIST).json(),
        NAME: lambda: theirs._get(LIST),  # noqa: SLF001
    }
    adds = {
        "requests": lambda: session.post(url + ADD, json=layer).json(),
        "httpx": lambda: client.post(ADD, json=layer).json(),
        NAME: lambda: theirs._post_or_put("POST", ADD, body=layer),  # noqa: SLF001
    }
    cases = {
        case: rounds({name: cpu(work, times) for name, work in works.items()}, count)
        for case, works in (("list", lists), ("add", adds))
    }
    imports = {name: f"import {name}" for name in ("requests", "httpx")}
    _, cases["import"] = programs({**imports, NAME: "from atomscale import Client"}, 5)
    return {"provider": cases}


if __name__ == "__main__":
    url, layer, count, times = sys.argv[1:]
    print(json.dumps(measure(url, json.loads(layer), int(count), int(times))))
