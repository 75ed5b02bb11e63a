// A tile's document, and what changes do to it: pure functions.
import type { Feature, Marks, Op, RecordField, Status, TileRecord } from "./types";

export const BLANK: TileRecord = {
  confidence: null,
  comment: "",
  skip_reason: null,
  nothing: false,
  attention_shown_at: null,
  others_shown_at: null,
};

/** New features, where nothing changed the old objects: what shows them need not be drawn anew. */
export function recognized(before: readonly Feature[], now: readonly Feature[]): Feature[] {
  const old = new Map(before.map((feature) => [feature.id, feature]));
  return now.map((feature) => {
    const known = old.get(feature.id);
    return known && JSON.stringify(known) === JSON.stringify(feature) ? known : feature;
  });
}

export function applied(marks: Marks, ops: readonly Op[]): Marks {
  return ops.reduce(apply, marks);
}

function apply(marks: Marks, op: Op): Marks {
  switch (op.op) {
    case "put": {
      const at = marks.features.findIndex((each) => each.id === op.feature.id);
      const features =
        at < 0 ? [...marks.features, op.feature] : marks.features.with(at, op.feature);
      return { ...marks, features };
    }
    case "delete":
      return { ...marks, features: marks.features.filter((each) => each.id !== op.id) };
    case "record":
      return { ...marks, record: { ...marks.record, [op.field]: op.value } };
    case "shown": {
      const shown = marks.record.attention_shown_at ?? new Date().toISOString();
      return { ...marks, record: { ...marks.record, attention_shown_at: shown } };
    }
  }
}

/** What takes `ops` back, given the document before them. That something was seen stays so. */
export function inverse(before: Marks, ops: readonly Op[]): Op[] {
  const back: Op[] = [];
  let marks = before;
  for (const op of ops) {
    const undone = inverseOf(marks, op);
    if (undone) back.unshift(undone);
    marks = apply(marks, op);
  }
  return back;
}

function inverseOf(marks: Marks, op: Op): Op | null {
  switch (op.op) {
    case "put":
    case "delete": {
      const id = op.op === "put" ? op.feature.id : op.id;
      const feature = marks.features.find((each) => each.id === id);
      if (feature) return { op: "put", feature };
      return op.op === "put" ? { op: "delete", id } : null;
    }
    case "record":
      return { op: "record", field: op.field, value: marks.record[op.field] };
    case "shown":
      return null;
  }
}

export function statusOf({ features, record }: Marks): Status {
  if (record.skip_reason !== null) return "skipped";
  if (features.length) return "marked";
  return record.nothing ? "nothing" : "open";
}

/** Whoever marks something takes back that there is nothing, or that the tile is skipped. */
export function markingOps(marks: Marks, ops: Op[]): Op[] {
  const back: Op[] = [];
  if (marks.record.nothing) back.push(recordOp("nothing", false));
  if (marks.record.skip_reason !== null) back.push(recordOp("skip_reason", null));
  return [...back, ...ops];
}

export function recordOp(field: RecordField, value: string | boolean | null): Op {
  return { op: "record", field, value };
}
