// A class has a new name: the reader's marks of it, on every tile, get it too.
import type { Session } from "./session";
import type { Op } from "./types";

/** How many marks were renamed; `names` are the new ones by the old ones. */
export async function renameEverywhere(
  session: Session,
  names: ReadonlyMap<string, string>,
): Promise<number> {
  if (!names.size) return 0;
  let many = 0;
  const tiles = (session.overview?.tiles ?? []).filter((tile) => session.status(tile).regions > 0);
  for (const { tile } of tiles) {
    const open = tile === session.tile?.tile;
    const { features } = (open && session.marks) || (await session.server.marks(tile));
    const ops = features.flatMap((feature): Op[] => {
      const { classification } = feature.properties;
      const name = names.get(classification?.name ?? "");
      if (!classification || name === undefined) return [];
      const properties = { ...feature.properties, classification: { ...classification, name } };
      return [{ op: "put", feature: { ...feature, properties } }];
    });
    many += ops.length;
    if (!ops.length) continue;
    if (open) session.change("new names of classes", ops);
    else session.put(tile, ops);
  }
  return many;
}
