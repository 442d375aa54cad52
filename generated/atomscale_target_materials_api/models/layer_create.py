from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.element_dict_create import ElementDictCreate


T = TypeVar("T", bound="LayerCreate")


@_attrs_define
class LayerCreate:
    """A layer to add. Only its position is required. (A2)"""

    layer_id: int
    """ Position of the layer within the stack; the lowest lies on the substrate. (A2, B) """
    sample_id: int | None | Unset = UNSET
    """ ID of the parent target material (`sample_id` of its list entries). Links the layer to it. (A2) """
    composition_string: None | str | Unset = UNSET
    """ Chemical composition, for example `BaTiO3`. (A2) """
    element_dict: ElementDictCreate | None | Unset = UNSET
    """ Element counts or fractions. (A2) """
    orientation: None | str | Unset = UNSET
    """ Crystallographic orientation, for example `001`. (A2) """
    space_group: None | str | Unset = UNSET
    """ Space group, for example `P4mm`. (A2) """
    mp_id: None | str | Unset = UNSET
    """ Materials Project ID, for example `mp-5020`. (A2) """
    id: int | None | Unset = UNSET
    """ Explicit record ID for the layer. (A2) """

    def to_dict(self) -> dict[str, Any]:
        from ..models.element_dict_create import ElementDictCreate

        layer_id = self.layer_id

        sample_id: int | None | Unset
        if isinstance(self.sample_id, Unset):
            sample_id = UNSET
        else:
            sample_id = self.sample_id

        composition_string: None | str | Unset
        if isinstance(self.composition_string, Unset):
            composition_string = UNSET
        else:
            composition_string = self.composition_string

        element_dict: dict[str, Any] | None | Unset
        if isinstance(self.element_dict, Unset):
            element_dict = UNSET
        elif isinstance(self.element_dict, ElementDictCreate):
            element_dict = self.element_dict.to_dict()
        else:
            element_dict = self.element_dict

        orientation: None | str | Unset
        if isinstance(self.orientation, Unset):
            orientation = UNSET
        else:
            orientation = self.orientation

        space_group: None | str | Unset
        if isinstance(self.space_group, Unset):
            space_group = UNSET
        else:
            space_group = self.space_group

        mp_id: None | str | Unset
        if isinstance(self.mp_id, Unset):
            mp_id = UNSET
        else:
            mp_id = self.mp_id

        id: int | None | Unset
        if isinstance(self.id, Unset):
            id = UNSET
        else:
            id = self.id

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "layer_id": layer_id,
            }
        )
        if sample_id is not UNSET:
            field_dict["sample_id"] = sample_id
        if composition_string is not UNSET:
            field_dict["composition_string"] = composition_string
        if element_dict is not UNSET:
            field_dict["element_dict"] = element_dict
        if orientation is not UNSET:
            field_dict["orientation"] = orientation
        if space_group is not UNSET:
            field_dict["space_group"] = space_group
        if mp_id is not UNSET:
            field_dict["mp_id"] = mp_id
        if id is not UNSET:
            field_dict["id"] = id

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.element_dict_create import ElementDictCreate

        d = dict(src_dict)
        layer_id = d.pop("layer_id")

        def _parse_sample_id(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        sample_id = _parse_sample_id(d.pop("sample_id", UNSET))

        def _parse_composition_string(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        composition_string = _parse_composition_string(d.pop("composition_string", UNSET))

        def _parse_element_dict(data: object) -> ElementDictCreate | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                element_dict_type_0 = ElementDictCreate.from_dict(data)

                return element_dict_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ElementDictCreate | None | Unset, data)

        element_dict = _parse_element_dict(d.pop("element_dict", UNSET))

        def _parse_orientation(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        orientation = _parse_orientation(d.pop("orientation", UNSET))

        def _parse_space_group(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        space_group = _parse_space_group(d.pop("space_group", UNSET))

        def _parse_mp_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        mp_id = _parse_mp_id(d.pop("mp_id", UNSET))

        def _parse_id(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        id = _parse_id(d.pop("id", UNSET))

        layer_create = cls(
            layer_id=layer_id,
            sample_id=sample_id,
            composition_string=composition_string,
            element_dict=element_dict,
            orientation=orientation,
            space_group=space_group,
            mp_id=mp_id,
            id=id,
        )

        return layer_create
