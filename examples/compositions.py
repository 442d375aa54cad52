"""Asks a table of all layers, as pandas has it, what the campaign is made of.

Atomic fractions of each layer, elements by the number of samples that have them, the latest update
of each substrate. Then a part of the table becomes a declared stack: what would there be to do?

    pip install 'atomscale-target-materials[pandas]'

It uses the server of ATOMSCALE_API_ENDPOINT with the key of ATOMSCALE_API_KEY; for example a
sandbox's.
"""

import pandas as pd

from atomscale_target_materials import Client, LayerStack, TargetMaterials, layers_from_frame

MIRROR = 49


def fractions(materials: TargetMaterials) -> pd.DataFrame:
    """Atomic fractions: a row for each layer, a column for each element."""
    table = materials.to_pandas(elements="columns").set_index(["sample_id", "layer_id"])
    amounts = table.filter(like="element_dict.").fillna(0)
    amounts = amounts.rename(columns=lambda name: name.removeprefix("element_dict."))
    return amounts.div(amounts.sum(axis="columns"), axis="index").dropna()


def one_pair_more(materials: TargetMaterials) -> LayerStack:
    """A Bragg mirror as it is, with its topmost two layers once more on top."""
    table = materials.to_pandas()
    mirror = table.loc[
        table["sample_id"] == MIRROR, ["layer_id", "composition_string", "orientation"]
    ].sort_values("layer_id")
    pair = mirror.tail(2).assign(layer_id=lambda rows: rows["layer_id"] + 2)
    return LayerStack.declare(layers=layers_from_frame(pd.concat([mirror, pair])))


def main() -> None:
    """Reads once, prints four answers."""
    with Client() as client:
        materials = client.list_target_materials()
        parts = fractions(materials)
        first = parts.head(8)
        print("Atomic fractions:", first.loc[:, first.any()], sep="\n", end="\n\n")

        samples = (parts > 0).groupby("sample_id").any().sum().sort_values(ascending=False)
        print("Samples with an element:", samples.head(8).to_string(), sep="\n", end="\n\n")

        table = materials.to_pandas()
        latest = table.groupby("substrate")["last_updated"].max().dropna()
        print("Latest update:", latest.to_string(), sep="\n", end="\n\n")

        plan = client.ensure_stack(one_pair_more(materials), sample_id=MIRROR, dry_run=True)
        print("One pair more:", plan, sep="\n")


if __name__ == "__main__":
    main()
