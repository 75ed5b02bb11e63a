"""Maps that are gone, taken again from a replay, for the rows that a rebuild will make.

A replay into a folder that holds the run already may bring a frame that was dropped, and a frame
of a later epoch is then to be compared with it. So maps come back with the frames that are
replayed, until it is known whether the run is rebuilt.
"""

from analyzer_service.commit.maps import pack_maps
from analyzer_service.commit.store import Store
from shared.codec import decode_payload
from shared.errors import ContractError
from shared.messages import BatchFrame


def restore_maps(store: Store, origin: int, payload: bytes) -> None:
    """Put the maps of a held frame back where they are gone, inside a transaction."""
    try:
        frame = decode_payload(payload)
    except ContractError:
        return
    packed = pack_maps(frame.attention) if isinstance(frame, BatchFrame) else None
    if packed is None or not isinstance(frame, BatchFrame):
        return
    cursor = store.connection.execute(
        "UPDATE maps SET maps = ? WHERE maps IS NULL AND layers = ? AND frame = "
        "(SELECT id FROM frames WHERE origin = ? AND stream = ? AND fseq = ?)",
        (packed[1], packed[0], origin, frame.stream, frame.fseq),
    )
    if cursor.rowcount:
        store.put(maps_restored=1)


def leave_restored(store: Store) -> None:
    """Let go of what `restore_maps` brought: no rebuild needs it."""
    if not store.get("maps_restored"):
        return
    with store.transaction():
        store.connection.execute(
            "UPDATE maps SET maps = NULL WHERE maps IS NOT NULL "
            "AND frame NOT IN (SELECT frame FROM recent_frames) "
            "AND frame IN (SELECT f.id FROM frames f JOIN streams s "
            "ON s.origin = f.origin AND s.stream = f.stream WHERE f.fseq <= s.floor)"
        )
        store.put(maps_restored=None)
