"""What the sandbox knows of chemistry: formulas, a few materials, the stacks of its seed."""

import re
from collections.abc import Collection, Iterator
from typing import Any

# Formula -> space group, Materials Project ID.
KNOWN_MATERIALS = {
    "AlAs": ("F-43m", "mp-2172"),
    "AlN": ("P6_3mc", "mp-661"),
    "BaTiO3": ("P4mm", "mp-5020"),
    "Bi2Se3": ("R-3m", "mp-541837"),
    "Bi2Te3": ("R-3m", "mp-34202"),
    "GaAs": ("F-43m", "mp-2534"),
    "GaN": ("P6_3mc", "mp-804"),
    "GaSb": ("F-43m", "mp-1156"),
    "InAs": ("F-43m", "mp-20305"),
    "LaAlO3": ("R-3c", "mp-2920"),
    "MgO": ("Fm-3m", "mp-1265"),
    "MoS2": ("P6_3/mmc", "mp-2815"),
    "MoSe2": ("P6_3/mmc", "mp-1634"),
    "PbTiO3": ("P4mm", "mp-20459"),
    "SrTiO3": ("Pm-3m", "mp-5229"),
    "WS2": ("P6_3/mmc", "mp-224"),
    "WSe2": ("P6_3/mmc", "mp-1821"),
}

# Name, substrate, growth method, layers from the substrate up as "composition orientation".
_SEEDS: list[tuple[str, str, str, list[str]]] = [
    ("BaTiO3 on Si", "Si", "MBE", ["BaTiO3 001"]),
    ("BaTiO3 on SrTiO3-buffered Si", "Si", "MBE", ["SrTiO3 001", "BaTiO3 001"]),
    ("LSMO electrode", "SrTiO3", "PLD", ["La0.7Sr0.3MnO3 001"]),
    (
        "PZT capacitor",
        "SrTiO3",
        "PLD",
        ["SrRuO3 001", "PbZr0.2Ti0.8O3 001", "SrRuO3 001"],
    ),
    ("LAO/STO two-dimensional electron gas", "SrTiO3", "PLD", ["LaAlO3 001"]),
    ("AlGaAs HEMT", "GaAs", "MBE", ["GaAs 001", "Al0.3Ga0.7As 001", "GaAs 001"]),
    (
        "InGaAs quantum well",
        "InP",
        "MBE",
        ["In0.52Al0.48As 001", "In0.53Ga0.47As 001", "In0.52Al0.48As 001"],
    ),
    ("GaAs/AlAs Bragg mirror", "GaAs", "MBE", ["AlAs 001", "GaAs 001"] * 5),
    (
        "GaN HEMT on sapphire",
        "Al2O3",
        "MOCVD",
        ["AlN 0001", "GaN 0001", "Al0.25Ga0.75N 0001"],
    ),
    ("InGaN LED", "Al2O3", "MOCVD", ["GaN 0001", "In0.15Ga0.85N 0001", "GaN 0001"]),
    ("MoS2 monolayer", "Al2O3", "MOCVD", ["MoS2 0001"]),
    ("WSe2/MoSe2 heterobilayer", "SiO2", "MBE", ["MoSe2 0001", "WSe2 0001"]),
    ("Bi2Te3/Bi2Se3 heterostructure", "GaAs", "MBE", ["Bi2Se3 0001", "Bi2Te3 0001"]),
    ("Nickelate superlattice", "LaAlO3", "PLD", ["LaNiO3 001", "LaAlO3 001"] * 4),
    ("InAs on GaSb, planned", "GaSb", "MBE", []),
]

FIRST_SAMPLE_ID = 42


def seeds() -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Samples and their layers, as columns of the store."""
    for sample_id, (name, substrate, method, layers) in enumerate(_SEEDS, FIRST_SAMPLE_ID):
        sample = {
            "sample_id": sample_id,
            "sample_name": name,
            "substrate": substrate,
            "growth_method": method,
        }
        yield (
            sample,
            [
                {
                    "layer_id": layer_id,
                    "sample_id": sample_id,
                    **dict(zip(("composition_string", "orientation"), layer.split(), strict=True)),
                }
                for layer_id, layer in enumerate(layers, 1)
            ],
        )


_PART = re.compile(r"(\()|([A-Z][a-z]?|\))([0-9]{1,9}(?:\.[0-9]{1,9})?)?")
LARGEST_AMOUNT = 1e15
LONGEST_FORMULA = 1000


def elements_of(formula: str, symbols: Collection[str]) -> dict[str, float] | None:
    """Element amounts of a formula like `(La0.7Sr0.3)MnO3`; None where it cannot be read."""
    parts = [*_PART.finditer(formula[:LONGEST_FORMULA])]
    if "".join(part[0] for part in parts) != formula:
        return None
    groups: list[dict[str, float]] = [{}]
    for opening, closed, digits in (part.groups() for part in parts):
        if opening:
            groups.append({})
            continue
        inner = groups.pop() if closed == ")" else {closed: 1}
        if not groups or not inner.keys() <= set(symbols) or not inner:
            return None
        factor = float(digits) if "." in (digits or "1") else int(digits or "1")
        for symbol, amount in inner.items():
            groups[-1][symbol] = groups[-1].get(symbol, 0) + amount * factor
            if groups[-1][symbol] >= LARGEST_AMOUNT:
                return None
    amounts = groups[0].values()
    return groups[0] if len(groups) == 1 and max(amounts, default=0) > 0 else None
