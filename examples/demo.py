"""What `make demo` shows: everything it prints came over a socket, from the sandbox server."""

import os
import sys

from atomscale_target_materials import Client, ConflictError, LayerStack
from atomscale_target_materials.sandbox import Sandbox


def show(stack: LayerStack) -> None:
    """One stack as a line of a table."""
    print(f"{stack.sample_id:>6}  {stack.sample_name or '':<36}  {len(stack.layers):>6}  {stack}")


def main() -> None:
    """Lists, adds, is refused."""
    with Sandbox() as sandbox, Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        print(f"A sandbox server runs at {sandbox.base_url}. Its target materials:\n")
        print(f"{'sample':>6}  {'name':<36}  {'layers':>6}  stack (film first, substrate last)")
        for stack in client.list_target_materials().stacks():
            show(stack)

        print(
            "\nadd_layer(layer_id=2, sample_id=42, composition_string='SrTiO3', orientation='001')"
        )
        layer = client.add_layer(
            layer_id=2, sample_id=42, composition_string="SrTiO3", orientation="001"
        )
        filled_in = layer.to_dict()["element_dict"], layer.space_group, layer.mp_id
        print("  the server filled in:", *filled_in, end="\n\n")
        show(client.list_target_materials().stack(42))

        print("\nThe same once more is refused:")
        try:
            client.add_layer(
                layer_id=2, sample_id=42, composition_string="SrTiO3", orientation="001"
            )
        except ConflictError as error:
            print(f"  ConflictError: {error}")
            print(f"  outcome_unknown={error.outcome_unknown}: nothing was added")
    python = os.path.relpath(sys.executable)
    print(f"\nThe sandbox has stopped. This keeps one up: {python} -m {Sandbox.__module__}")


if __name__ == "__main__":
    main()
