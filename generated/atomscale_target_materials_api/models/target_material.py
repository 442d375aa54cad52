from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.element_dict import ElementDict
    from ..models.sample_metadata import SampleMetadata


T = TypeVar("T", bound="TargetMaterial")


@_attrs_define
class TargetMaterial:
    """One layer of a target material with the sample it belongs to. (A1)"""

    id: int
    """ Target material record ID. Not known to be unique per entry. (A1, B) """
    sample_id: int
    """ ID of the target material sample the entry belongs to. (A1) """
    sample_name: None | str | Unset = UNSET
    """ Name of the sample. (A1) """
    substrate: None | str | Unset = UNSET
    """ Substrate that the layers are grown on, for example `Si`. (A1) """
    layer_id: int | None | Unset = UNSET
    """ Position of the layer within the stack; the lowest lies on the substrate. Null or absent for a
    target material without layers. (A1, B) """
    composition_string: None | str | Unset = UNSET
    """ Chemical composition of the layer, for example `BaTiO3`. (A1) """
    element_dict: ElementDict | None | Unset = UNSET
    """ Element counts or fractions that make up the layer. (A1) """
    orientation: None | str | Unset = UNSET
    """ Crystallographic orientation of the layer, if known: the Miller indices normal to the film
    surface. (A1, B) """
    space_group: None | str | Unset = UNSET
    """ Space group of the layer's lattice, if known, for example `P4mm`. (A1, B) """
    mp_id: None | str | Unset = UNSET
    """ Materials Project ID of the layer's material, if matched. (A1) """
    detail_notes_id: None | str | Unset = UNSET
    """ ID of the linked detail note, if any. (A1) """
    detail_note_content: None | str | Unset = UNSET
    """ Free text of the linked detail note. (A1) """
    sample_metadata: None | SampleMetadata | Unset = UNSET
    """ Arbitrary metadata attached to the sample. (A1) """
    user_id: None | str | Unset = UNSET
    """ ID of the user who owns the record. (A1) """
    user_name: None | str | Unset = UNSET
    """ Name of that user. (A1) """
    version: None | str | Unset = UNSET
    """ Schema version of the record. (A1) """
    last_updated: datetime.datetime | None | Unset = UNSET
    """ Time of the last update, any ISO 8601 timestamp; one without an offset is read as UTC. (A1) """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.element_dict import ElementDict
        from ..models.sample_metadata import SampleMetadata

        id = self.id

        sample_id = self.sample_id

        sample_name: None | str | Unset
        if isinstance(self.sample_name, Unset):
            sample_name = UNSET
        else:
            sample_name = self.sample_name

        substrate: None | str | Unset
        if isinstance(self.substrate, Unset):
            substrate = UNSET
        else:
            substrate = self.substrate

        layer_id: int | None | Unset
        if isinstance(self.layer_id, Unset):
            layer_id = UNSET
        else:
            layer_id = self.layer_id

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

        detail_notes_id: None | str | Unset
        if isinstance(self.detail_notes_id, Unset):
            detail_notes_id = UNSET
        else:
            detail_notes_id = self.detail_notes_id

        detail_note_content: None | str | Unset
        if isinstance(self.detail_note_content, Unset):
            detail_note_content = UNSET
        else:
            detail_note_content = self.detail_note_content

        sample_metadata: dict[str, Any] | None | Unset
        if isinstance(self.sample_metadata, Unset):
            sample_metadata = UNSET
        elif isinstance(self.sample_metadata, SampleMetadata):
            sample_metadata = self.sample_metadata.to_dict()
        else:
            sample_metadata = self.sample_metadata

        user_id: None | str | Unset
        if isinstance(self.user_id, Unset):
            user_id = UNSET
        else:
            user_id = self.user_id

        user_name: None | str | Unset
        if isinstance(self.user_name, Unset):
            user_name = UNSET
        else:
            user_name = self.user_name

        version: None | str | Unset
        if isinstance(self.version, Unset):
            version = UNSET
        else:
            version = self.version

        last_updated: None | str | Unset
        if isinstance(self.last_updated, Unset):
            last_updated = UNSET
        elif isinstance(self.last_updated, datetime.datetime):
            last_updated = self.last_updated.isoformat()
        else:
            last_updated = self.last_updated

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "sample_id": sample_id,
            }
        )
        if sample_name is not UNSET:
            field_dict["sample_name"] = sample_name
        if substrate is not UNSET:
            field_dict["substrate"] = substrate
        if layer_id is not UNSET:
            field_dict["layer_id"] = layer_id
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
        if detail_notes_id is not UNSET:
            field_dict["detail_notes_id"] = detail_notes_id
        if detail_note_content is not UNSET:
            field_dict["detail_note_content"] = detail_note_content
        if sample_metadata is not UNSET:
            field_dict["sample_metadata"] = sample_metadata
        if user_id is not UNSET:
            field_dict["user_id"] = user_id
        if user_name is not UNSET:
            field_dict["user_name"] = user_name
        if version is not UNSET:
            field_dict["version"] = version
        if last_updated is not UNSET:
            field_dict["last_updated"] = last_updated

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.element_dict import ElementDict
        from ..models.sample_metadata import SampleMetadata

        d = dict(src_dict)
        id = d.pop("id")

        sample_id = d.pop("sample_id")

        def _parse_sample_name(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        sample_name = _parse_sample_name(d.pop("sample_name", UNSET))

        def _parse_substrate(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        substrate = _parse_substrate(d.pop("substrate", UNSET))

        def _parse_layer_id(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        layer_id = _parse_layer_id(d.pop("layer_id", UNSET))

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

        def _parse_detail_notes_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        detail_notes_id = _parse_detail_notes_id(d.pop("detail_notes_id", UNSET))

        def _parse_detail_note_content(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        detail_note_content = _parse_detail_note_content(d.pop("detail_note_content", UNSET))

        def _parse_sample_metadata(data: object) -> None | SampleMetadata | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                sample_metadata_type_0 = SampleMetadata.from_dict(data)

                return sample_metadata_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | SampleMetadata | Unset, data)

        sample_metadata = _parse_sample_metadata(d.pop("sample_metadata", UNSET))

        def _parse_user_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        user_id = _parse_user_id(d.pop("user_id", UNSET))

        def _parse_user_name(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        user_name = _parse_user_name(d.pop("user_name", UNSET))

        def _parse_version(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        version = _parse_version(d.pop("version", UNSET))

        def _parse_last_updated(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                last_updated_type_0 = datetime.datetime.fromisoformat(data)

                return last_updated_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        last_updated = _parse_last_updated(d.pop("last_updated", UNSET))

        target_material = cls(
            id=id,
            sample_id=sample_id,
            sample_name=sample_name,
            substrate=substrate,
            layer_id=layer_id,
            composition_string=composition_string,
            element_dict=element_dict,
            orientation=orientation,
            space_group=space_group,
            mp_id=mp_id,
            detail_notes_id=detail_notes_id,
            detail_note_content=detail_note_content,
            sample_metadata=sample_metadata,
            user_id=user_id,
            user_name=user_name,
            version=version,
            last_updated=last_updated,
        )

        target_material.additional_properties = d
        return target_material

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
