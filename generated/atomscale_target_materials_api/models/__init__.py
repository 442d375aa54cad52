"""Contains all the data models used in inputs/outputs"""

from .element_dict import ElementDict
from .element_dict_create import ElementDictCreate
from .error import Error
from .layer import Layer
from .layer_create import LayerCreate
from .sample_metadata import SampleMetadata
from .target_material import TargetMaterial

__all__ = (
    "ElementDict",
    "ElementDictCreate",
    "Error",
    "Layer",
    "LayerCreate",
    "SampleMetadata",
    "TargetMaterial",
)
