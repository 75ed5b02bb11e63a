"""QuPath's GeoJSON: features with a class, in pixels of the image at full resolution."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from analyzer_service.annotations.items import Item, in_words, refused, repaired
from analyzer_service.annotations.regions import UNCLASSIFIED, Fault, Polygon, Region, Ring
from analyzer_service.annotations.repairing import polygons_of

LARGEST_COORDINATE: Final = 1e7
"""Pixels; no slide is as large."""

Coordinate = Annotated[
    float,
    Field(strict=True, ge=-LARGEST_COORDINATE, le=LARGEST_COORDINATE, allow_inf_nan=False),
]
Position = Annotated[list[Coordinate], Field(min_length=2, max_length=4)]
Ringlike = list[Position]
Color = Annotated[int, Field(ge=0, le=255)]
Color3 = tuple[Color, Color, Color]
Name = Annotated[str, Field(max_length=1024)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Polygon(_Part):
    type: Literal["Polygon"]
    coordinates: list[Ringlike]


class _MultiPolygon(_Part):
    type: Literal["MultiPolygon"]
    coordinates: list[list[Ringlike]]


class _Classification(_Part):
    name: Name | None = None
    names: list[Name] | None = None
    parentClass: "_Classification | None" = None
    color: tuple[Color, Color, Color] | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_a_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("color", mode="wrap")
    @classmethod
    def _any_color(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        """An annotation is not lost for its color."""
        try:
            return check(value)
        except ValidationError:
            return None

    @property
    def label(self) -> str | None:
        """QuPath writes a derived class as its names, from the general to the special one.

        Before 0.4 it wrote the special one inside of which was the general one.
        """
        own = self.name or (": ".join(self.names) if self.names else None)
        general = self.parentClass.label if self.parentClass else None
        return ": ".join(filter(None, (general, own))) or None


class _Properties(_Part):
    """Names are as QuPath spells them, and as it spelled them before 0.4."""

    objectType: Annotated[
        Name | None, Field(validation_alias=AliasChoices("objectType", "object_type"))
    ] = None
    classification: _Classification | None = None
    isLocked: StrictBool = False
    measurements: dict[Name, float] = Field(default_factory=dict)

    @field_validator("measurements", mode="before")
    @classmethod
    def _of_older_versions(cls, value: Any) -> Any:
        """QuPath before 0.4 wrote a list of names and values."""
        if isinstance(value, list):
            return {part["name"]: part["value"] for part in value if _is_measurement(part)}
        if isinstance(value, Mapping):
            return {name: number for name, number in value.items() if _is_number(number)}
        return {}


class _Feature(_Part):
    type: Literal["Feature"]
    geometry: Annotated[_Polygon | _MultiPolygon, Field(discriminator="type")]
    properties: _Properties | None = None


def read_feature(feature: Mapping[str, Any], where: str) -> Item:
    """Region of one GeoJSON feature; `where` names it in what is said of it."""
    geometry = feature.get("geometry")
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    if geometry is None or kind in _WITHOUT_AREA:
        return refused("no_area", where, str(kind or "no geometry"))
    if kind not in _WITH_AREA:
        return refused("unreadable", where, f"a geometry {str(kind)[:40]!r} is not read")
    try:
        read = _Feature.model_validate(feature)
    except ValidationError as error:
        return refused("unreadable", where, in_words(error))
    polygons, repairs = polygons_of(_areas(read.geometry))
    if not polygons:
        return refused("no_area", where, "an outline that encloses nothing")
    region, faults = _region(polygons, read.properties or _Properties(), where)
    done = repaired(region, where, repairs)
    return Item(done.region, (*done.faults, *faults))


def classification_in(properties: Mapping[str, Any]) -> tuple[str | None, Color3 | None]:
    """Name and color of the class in a feature's properties, in any way that QuPath spells it."""
    try:
        read = _Classification.model_validate(properties.get("classification"))
    except ValidationError:
        return None, None
    return read.label, read.color


def feature_of(region: Region) -> dict[str, Any]:
    """GeoJSON feature of a region, as QuPath writes and reads it."""
    areas = [[ring.tolist() for ring in polygon.rings] for polygon in region.polygons]
    single = len(areas) == 1
    properties: dict[str, Any] = {"objectType": region.object_type}
    if region.label != UNCLASSIFIED:
        properties["classification"] = {"name": region.label}
        if region.color is not None:
            properties["classification"]["color"] = list(region.color)
    properties["isLocked"] = region.locked
    if region.measurements:
        properties["measurements"] = dict(region.measurements)
    return {
        "type": "Feature",
        "geometry": {
            "type": "Polygon" if single else "MultiPolygon",
            "coordinates": areas[0] if single else areas,
        },
        "properties": properties,
    }


def collection_of(regions: Iterable[Region]) -> dict[str, Any]:
    """GeoJSON FeatureCollection of regions, in their order."""
    return {"type": "FeatureCollection", "features": [feature_of(region) for region in regions]}


_LARGEST_MEASUREMENT: Final = 1e300
_WITH_AREA: Final = ("Polygon", "MultiPolygon")
_WITHOUT_AREA: Final = ("Point", "MultiPoint", "LineString", "MultiLineString")


def _areas(geometry: _Polygon | _MultiPolygon) -> list[list[Ring]]:
    several = (
        geometry.coordinates if isinstance(geometry, _MultiPolygon) else [geometry.coordinates]
    )
    return [[_ring(ring) for ring in rings] for rings in several]


def _ring(positions: Ringlike) -> Ring:
    corners = [position[:2] for position in positions]
    return np.array(corners, dtype=np.float64).reshape(-1, 2)


def _region(
    polygons: tuple[Polygon, ...], properties: _Properties, where: str
) -> tuple[Region, tuple[Fault, ...]]:
    named = properties.classification
    label = named.label if named else None
    region = Region(
        polygons,
        label=label or UNCLASSIFIED,
        color=named.color if named else None,
        object_type=properties.objectType or "annotation",
        locked=properties.isLocked,
        measurements=properties.measurements,
    )
    return region, () if label else (Fault("unclassified", where),)


def _is_measurement(part: Any) -> bool:
    named = isinstance(part, Mapping) and isinstance(part.get("name"), str)
    return named and _is_number(part.get("value"))


def _is_number(value: Any) -> bool:
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return usable and abs(value) <= _LARGEST_MEASUREMENT  # not NaN either, which JSON lacks
