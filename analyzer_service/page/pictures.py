"""Pictures for the browser, with what it needs to ask for each only once."""

import struct
from email.utils import formatdate
from os import stat_result
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 88)
_IHDR: Final = struct.Struct(">8s4x4sII")
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 3)


def png(image: NDArray[np.uint8]) -> bytes:
    """An RGB image (H, W, 3) as PNG, every pixel as it is."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _PNG)
    return encoded.tobytes()


def size_of(picture: bytes) -> tuple[int, int] | None:
    """Width and height that a PNG says to have, before any of it is decoded; None if it is none."""
    if len(picture) < _IHDR.size:
        return None
    signature, chunk, width, height = _IHDR.unpack_from(picture)
    return (width, height) if (signature, chunk) == (_SIGNATURE, b"IHDR") else None


def thumbnail(picture: bytes, width: int) -> bytes | None:
    """A picture as JPEG of at most `width` pixels; None where it is not whole."""
    try:
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # it is empty, or says that it is larger than any picture
        return None
    if image is None:
        return None
    if image.shape[1] > width:
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", image, _JPEG)
    return encoded.tobytes()


def tag(found: stat_result, *more: object) -> str:
    """ETag of a file as it is now, and of what is made of it."""
    return '"' + "-".join(f"{part}" for part in (found.st_mtime_ns, found.st_size, *more)) + '"'


def unchanged(request: Request, found: stat_result, etag: str) -> Response | None:
    """304 where the browser has the same already; None where it must be sent."""
    given = request.headers.get("if-none-match", "")
    if etag not in [each.strip().removeprefix("W/") for each in given.split(",")]:
        return None
    return Response(status_code=304, headers=cached(found, etag))


def cached(found: stat_result, etag: str) -> dict[str, str]:
    """Headers with which a browser keeps a picture, and asks before it shows it again."""
    modified = formatdate(found.st_mtime, usegmt=True)
    return {"ETag": etag, "Last-Modified": modified, "Cache-Control": "private, no-cache"}
