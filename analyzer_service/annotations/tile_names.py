"""What a file of annotations is of: told by its name, and by nothing else.

A file named after a tile is in the tile's pixels; one named after the image or slide that tiles
are cut from is in that image's, and goes to each of its tiles.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from shared.messages import Sample

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST: Final = 100
_IMAGE: Final = re.compile(r"\.[A-Za-z0-9]{2,8}$")


def tile_name(sample_id: str) -> str:
    """A name for files of a tile, good on every system and different for every id.

    An id of letters, digits, ``.``, ``_`` and ``-`` is its own name; of others what is left of it,
    with a hash.

    Examples
    --------
    >>> tile_name("tile-0001"), tile_name("slide 3/a.png:0:256")
    ('tile-0001', 'slide_3_a.png_0_256-9f33ecc8')
    """
    plain = _UNSAFE.sub("_", sample_id).strip("._")[:_LONGEST]
    if plain == sample_id:
        return plain
    digest = blake2b(sample_id.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{plain}-{digest}"


def without_image_suffix(name: str) -> str:
    """`name` without the ending of an image file.

    Examples
    --------
    >>> without_image_suffix("a/CMU-1.svs"), without_image_suffix("tile_0.5")
    ('a/CMU-1', 'tile_0.5')
    """
    return _IMAGE.sub("", name)


@dataclass(frozen=True, slots=True)
class Names:
    """By what names files are known to be of a tile, or of an image that tiles are cut from.

    Attributes
    ----------
    tiles : mapping of str to set of str
        Ids of tiles by name.
    images : mapping of str to set of str
        Names of images, as `shared.messages.Sample.source` has them, by name.
    """

    tiles: Mapping[str, set[str]] = field(default_factory=dict)
    images: Mapping[str, set[str]] = field(default_factory=dict)

    def find(self, name: str) -> tuple[str, set[str]]:
        """What a file named `name`, without its suffix, is of.

        Returns
        -------
        kind : str
            ``tile`` or ``image``; a name of both is a tile's.
        found : set of str
            Ids or images; empty if the name fits none, more than one if it fits several.
        """
        bare = name.rpartition("/")[2]
        for key in (name, bare, without_image_suffix(name), without_image_suffix(bare)):
            for kind, known in (("tile", self.tiles), ("image", self.images)):
                if key in known:
                    return kind, known[key]
        return "tile", set()


def names_of(samples: Iterable[Sample]) -> Names:
    """Names of tiles (their ids, and `tile_name` of these), of their images and slides.

    An image goes by its name in the data, by the last part of it, and by both without ``.png``
    and the like; its slide's name too, where all tiles of the slide are of this one image.
    """
    tiles: dict[str, set[str]] = {}
    images: dict[str, set[str]] = {}
    slides: dict[str, set[str]] = {}
    for sample in samples:
        for key in (sample.id, tile_name(sample.id)):
            tiles.setdefault(key, set()).add(sample.id)
        if sample.source is not None:
            bare = sample.source.rpartition("/")[2]
            for name in (sample.source, tile_name(sample.source), bare):
                for key in (name, without_image_suffix(name)):
                    images.setdefault(key, set()).add(sample.source)
            if sample.slide is not None:
                slides.setdefault(sample.slide, set()).add(sample.source)
    for slide, sources in slides.items():
        if len(sources) == 1:
            images.setdefault(slide, sources)
    return Names(tiles, images)
