"""Reads the target materials of a growth campaign, tells what is odd in them, and draws them all.

    pip install 'atomscale-target-materials[plot,materials]'
    python campaign.py campaign.png

It uses the server of ATOMSCALE_API_ENDPOINT with the key of ATOMSCALE_API_KEY; for example a
sandbox's. The picture is campaign.png in the working folder unless another path is given.
"""

import sys
from collections.abc import Iterator

from matplotlib import pyplot as plt

from atomscale_target_materials import AtomscaleError, Client, LayerStack


def oddities(stack: LayerStack) -> Iterator[str]:
    """A line for each thing that somebody should look at."""
    if not stack.layers:
        yield "no layers yet"
    if stack.gaps:
        yield f"no layer at {stack.gaps}"
    if stack.duplicates:
        yield f"more than one layer at {list(stack.duplicates)}"
    yield from map(str, stack.check())


def main() -> None:
    """Reads once, prints the summary, saves the picture."""
    picture = sys.argv[1] if len(sys.argv) > 1 else "campaign.png"
    try:
        with Client() as client:
            materials = client.list_target_materials()
    except AtomscaleError as error:
        sys.exit(f"{type(error).__name__}: {error}")

    stacks = materials.stacks()
    layers = sum(len(stack.layers) for stack in stacks)
    print(f"{len(stacks)} stacks, {layers} layers\n")
    for stack in stacks:
        print(f"{stack.sample_id}  {stack.sample_name or '(no name)'}: {stack}")
        for oddity in oddities(stack):
            print(f"    {oddity}")

    materials.plot()
    plt.savefig(picture)
    print(f"\nThe picture is in {picture}")


if __name__ == "__main__":
    main()
