"""The tiles that attention is tested on, read from the store."""

import json
import sqlite3

from analyzer_service.commit.maps import unpack_maps
from analyzer_service.commit.views import ProbeTile
from shared.messages import Sample


def read_probe_tiles(connection: sqlite3.Connection) -> tuple[int | None, list[ProbeTile]]:
    """The tiles, and their validation epoch: the last one that ended, else the last one."""
    query = (
        "SELECT p.epoch FROM probe_tiles p LEFT JOIN epochs e ON e.epoch = p.epoch "
        "AND e.superseded = 0 ORDER BY e.epoch IS NULL, p.epoch DESC LIMIT 1"
    )
    (epoch,) = connection.execute(query).fetchone() or (None,)
    query = (
        "SELECT s.sample, t.layout, t.maps FROM probe_tiles p "
        "JOIN tile_maps t ON t.frame = p.frame AND t.position = p.position "
        "JOIN samples s ON s.frame = p.frame AND s.position = p.position "
        "WHERE p.epoch = ? ORDER BY p.key"
    )
    found = connection.execute(query, (epoch,))
    return epoch, [
        ProbeTile(Sample.model_validate(json.loads(text)), unpack_maps(layout, blob))
        for text, layout, blob in found
    ]
