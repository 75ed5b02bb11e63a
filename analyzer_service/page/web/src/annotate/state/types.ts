// What the server and the browser say to each other about marks. Coordinates are pixels of the
// tile: x to the right, y down, origin at its top left.

export type Rgb = [number, number, number];
export type Position = [number, number];

export interface MarkClass {
  name: string;
  color: Rgb;
}

export type Status = "open" | "marked" | "nothing" | "skipped";
export type Confidence = "low" | "medium" | "high";

export interface TileFacts {
  tile: string;
  id: string;
  phase: string;
  epoch: number;
  global_step: number;
  /** Null where its image is gone. */
  width: number | null;
  height: number | null;
  /** Micrometers a pixel, where known. */
  mpp: number | null;
  source: string | null;
  slide: string | null;
  row: number | null;
  col: number | null;
  status: Status;
  regions: number;
  revision: number;
}

export interface Overview {
  classes: MarkClass[];
  readers: { name: string; tiles_done: number }[];
  tiles: TileFacts[];
}

export type Geometry =
  | { type: "Polygon"; coordinates: Position[][] }
  | { type: "MultiPolygon"; coordinates: Position[][][] }
  | { type: "Point"; coordinates: Position };
export type Area = Exclude<Geometry, { type: "Point" }>;

export interface Feature {
  type: "Feature";
  id: string;
  geometry: Geometry;
  properties: {
    objectType?: string;
    classification?: MarkClass;
    isLocked?: boolean;
    sidelight?: { tool?: string; [fact: string]: unknown };
    [other: string]: unknown;
  };
}

/** What a reader says about a whole tile, and what they had seen by then. */
export interface TileRecord {
  confidence: Confidence | null;
  comment: string;
  skip_reason: string | null;
  nothing: boolean;
  attention_shown_at: string | null;
  others_shown_at: string | null;
}

export interface Marks {
  revision: number;
  features: Feature[];
  record: TileRecord;
}

export interface OtherMarks {
  reader: string;
  features: Feature[];
  record: TileRecord;
}

export type RecordField = "confidence" | "comment" | "skip_reason" | "nothing";

/** One change of a tile's document; the server applies each `op_id` once. */
export type Op =
  | { op: "put"; feature: Feature }
  | { op: "delete"; id: string }
  | { op: "record"; field: RecordField; value: string | boolean | null }
  | { op: "shown"; what: "attention"; layer: string };
export type SentOp = Op & { op_id: string };

export interface Overlap {
  iou: number | null;
  dice: number | null;
  precision: number | null;
  recall: number | null;
  f1: number | null;
}

export interface AttentionOverlap {
  layer: string;
  label: string;
  area_matched: Overlap;
  half_maximum: Overlap;
  auc: number | null;
}

export interface Agreement {
  /** Null as long as attention was not shown on this tile: blind stays blind. */
  attention: AttentionOverlap[] | null;
  readers?: (Overlap & { between: [string, string]; label: string; nsd: number | null })[];
}

export interface Layer {
  name: string;
  kind: string;
  primary: boolean;
}
