"""Runs to annotate, and what a browser sends."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from analyzer_service.annotations.tile_names import tile_name
from shared.messages import Sample
from tests.analyzer_service.annotations.drawing import SQUARE
from tests.analyzer_service.clinical.runs import TileRun, gate_of, make_tiles, spot

RUN = "demo"


class Drawing:
    """A run of some tiles under `output_dir`, asked about as the browser does."""

    def __init__(self, client: TestClient, output_dir: Path, *, tiles: int = 3) -> None:
        self.client = client
        self.folder = output_dir / f"auto_analysis_{RUN}"
        self.samples: list[Sample] = make_tiles(tiles)
        run = TileRun(self.folder)
        mark = spot(2, 2)
        gates = np.stack([gate_of(mark, seed=i) for i in range(tiles)])
        run.keep(self.samples, {"bam_384": gates, "bam_16": 1 - gates})
        run.close()
        self.names = [tile_name(sample.id) for sample in self.samples]

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/api/runs/{RUN}/annotations/{path}", params=query)

    def post(self, tile: str, *ops: dict[str, Any], reader: str = "anna") -> Any:
        """Send operations; each gets an id if it has none."""
        numbered = [{"op_id": str(uuid.uuid4()), **op} for op in ops]
        return self.client.post(
            f"/api/runs/{RUN}/annotations/tiles/{tile}/marks",
            params={"reader": reader},
            json={"ops": numbered},
        )

    def marks(self, tile: str, reader: str = "anna", **query: Any) -> Any:
        found = self.get(f"tiles/{tile}/marks", reader=reader, **query)
        assert found.status_code == 200, found.text
        return found.json()

    def path(self, tile: str, reader: str = "anna") -> Path:
        return self.folder / "annotations" / reader / f"{tile}.geojson"


def put(*rings: Any, label: str = "tumor", id_: str | None = None, **more: Any) -> dict[str, Any]:
    """An operation that adds a polygon, a square if no rings are given."""
    geometry = {"type": "Polygon", "coordinates": list(rings) or [SQUARE]}
    return {"op": "put", "feature": a_feature(geometry, label=label, id_=id_, **more)}


def a_feature(
    geometry: Any, *, label: str = "tumor", id_: str | None = None, tool: str = "polygon"
) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": id_ or str(uuid.uuid4()),
        "geometry": geometry,
        "properties": {"classification": {"name": label}, "sidelight": {"tool": tool}},
    }
