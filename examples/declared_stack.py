"""Declares a stack of three layers, and adds what the sample does not have of it yet.

Kill it at any moment and run it again: the stack is completed, and no layer is added twice. It uses
the server of ATOMSCALE_API_ENDPOINT with the key of ATOMSCALE_API_KEY; for example a sandbox's.
"""

import sys

from atomscale_target_materials import AtomscaleError, Client, LayerStack

SAMPLE_ID = 56
DECLARED = LayerStack.declare(
    substrate="GaSb",
    layers=[
        {"composition_string": "InAs", "orientation": "001"},
        {"composition_string": "AlSb", "orientation": "001"},
        {"composition_string": "GaSb", "orientation": "001"},
    ],
)


def main() -> None:
    """Shows what there is to do, does it, and tells of each layer."""
    with Client() as client:
        print(client.ensure_stack(DECLARED, sample_id=SAMPLE_ID, dry_run=True), end="\n\n")
        try:
            client.ensure_stack(DECLARED, sample_id=SAMPLE_ID, on_progress=print)
        except AtomscaleError as error:
            sys.exit(f"{type(error).__name__}: {error}")
        print(client.list_target_materials().stack(SAMPLE_ID))


if __name__ == "__main__":
    main()
