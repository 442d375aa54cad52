from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.element_dict import ElementDict


T = TypeVar("T", bound="Layer")


@_attrs_define
class Layer:
    """A layer as the server stored it. (A2)"""

    id: int
    """ Layer record ID. (A2) """
    layer_id: int
    """ Position of the layer within the stack. (A2) """
    sample_id: int | None | Unset = UNSET
    """ ID of the parent target material. (A2) """
    composition_string: None | str | Unset = UNSET
    """ Chemical composition. (A2) """
    element_dict: ElementDict | None | Unset = UNSET
    """ Element counts or fractions. (A2) """
    orientation: None | str | Unset = UNSET
    """ Crystallographic orientation. (A2) """
    space_group: None | str | Unset = UNSET
    """ Space group. (A2) """
    mp_id: None | str | Unset = UNSET
    """ Materials Project ID. (A2) """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.element_dict import ElementDict

        id = self.id

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
        elif isinstance(self.element_dict, ElementDict):
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

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
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

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.element_dict import ElementDict

        d = dict(src_dict)
        id = d.pop("id")

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

        def _parse_element_dict(data: object) -> ElementDict | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                element_dict_type_0 = ElementDict.from_dict(data)

                return element_dict_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ElementDict | None | Unset, data)

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

        layer = cls(
            id=id,
            layer_id=layer_id,
            sample_id=sample_id,
            composition_string=composition_string,
            element_dict=element_dict,
            orientation=orientation,
            space_group=space_group,
            mp_id=mp_id,
        )

        layer.additional_properties = d
        return layer

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
