"""`python -m atomscale_target_materials.sandbox`: the sandbox server by itself."""

import argparse
import signal
import sqlite3
import threading

from . import Sandbox


def main() -> None:
    """Serves until SIGINT (Ctrl-C) or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m atomscale_target_materials.sandbox",
        description="A sandbox of the Atomscale target-materials API on this machine.",
    )
    parser.add_argument("--port", type=int, default=8000, help="0 for a free one (default: 8000)")
    parser.add_argument("--db", metavar="FILE", help="SQLite file (default: in memory)")
    options = parser.parse_args()
    stop = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stop.set())
    try:
        sandbox = Sandbox(options.db, port=options.port).start()
    except (OSError, OverflowError, sqlite3.Error) as error:
        db = f" or --db {options.db}" if options.db else ""
        parser.error(f"--port {options.port}{db} cannot be used: {error}")
    print(f"The sandbox serves {options.db or 'stacks in memory'}. Ctrl-C stops it. To use it:")
    print(f"  export ATOMSCALE_API_ENDPOINT={sandbox.base_url}")
    print(f"  export ATOMSCALE_API_KEY={sandbox.api_key}", flush=True)
    while not stop.wait(0.2):
        pass
    sandbox.stop()
    print("The sandbox has stopped.")


if __name__ == "__main__":
    main()
