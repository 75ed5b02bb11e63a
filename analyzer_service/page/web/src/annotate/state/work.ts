// What a reader can do to the marks of the open tile, whichever button, key or drag asks for it.
import { withoutCorner } from "../canvas/corners";
import { same } from "../canvas/geometry";
import type { Desk, Tool } from "./desk";
import { markingOps, recordOp } from "./document";
import { newId } from "./ids";
import type { Session } from "./session";
import type { Area, Confidence, Feature, Geometry, MarkClass, Op, Position } from "./types";

const NAMES: Record<Tool, string> = {
  select: "Select",
  polygon: "Polygon",
  freehand: "Freehand",
  point: "Point",
  edit: "Edit corners",
  move: "Move",
  union: "Union",
  subtract: "Subtract",
};
const HINTS: Record<Tool, string> = {
  select: "Click a mark to select it; Shift adds to the selection.",
  polygon: "Click corner by corner; double-click, Enter or the first corner ends it.",
  freehand: "Press, draw around it, let go.",
  point: "Click where it is.",
  edit: "Drag corners; drag an edge to add one; Alt+click or Delete removes one.",
  move: "Drag a mark to another place.",
  union: "Select a mark, then draw what to add to it, or click another one.",
  subtract: "Select a mark, then draw what to cut off it, or click another one.",
};
const COMBINED = { union: "Union", subtract: "Subtraction" } as const;

export const toolName = (tool: Tool) => NAMES[tool];

export class Work {
  /** Ends what is being drawn, before another tool is taken: it is not lost to a slip of a key. */
  settle: () => void = () => {};

  constructor(
    readonly session: Session,
    readonly desk: Desk,
  ) {}

  get features(): Feature[] {
    return this.session.marks?.features ?? [];
  }

  /** The selected marks that are there, in the order in which they were selected. */
  get selected(): Feature[] {
    const byId = new Map(this.features.map((feature) => [feature.id, feature]));
    return this.desk.selected.map((id) => byId.get(id)).filter((each) => each !== undefined);
  }

  get nextClass(): MarkClass {
    const { classes } = this.session;
    return classes[this.desk.classAt] ?? classes[0] ?? { name: "other", color: [128, 128, 128] };
  }

  /** What a tool does, of what is in hand. */
  get hint(): string {
    const { tool } = this.desk;
    if (tool === "union" || tool === "subtract") {
      const [first] = this.selected;
      const verb = tool === "union" ? "add to" : "cut off";
      if (first) return `Draw what to ${verb} the ${nameOf(first)}, or click another mark.`;
    }
    if (tool === "edit" && !this.selected.length) return "Click the mark whose corners to edit.";
    return HINTS[tool];
  }

  take(tool: Tool): void {
    const { desk } = this;
    this.settle();
    if ((tool === "union" || tool === "subtract") && this.areas().length > 1) {
      void this.combine(tool, this.areas());
      return;
    }
    if (tool === "edit" && !this.selected.length && this.features.length === 1) {
      desk.select([this.features[0]!.id]);
    }
    desk.take(tool);
    desk.say(`Tool: ${NAMES[tool]}.`);
  }

  drawn(geometry: Geometry | null): void {
    const { desk } = this;
    const { tool } = desk;
    if (!geometry) {
      desk.say("That shape encloses nothing, so it was not kept.");
      return;
    }
    if (tool === "union" || tool === "subtract") {
      const [target] = this.areas();
      if (!target) desk.say(`Select a mark first: click one, then draw.`);
      else if (geometry.type !== "Point") void this.combine(tool, [target], geometry);
      return;
    }
    const { name, color } = this.nextClass;
    const feature: Feature = {
      type: "Feature",
      id: newId(),
      geometry,
      properties: {
        objectType: "annotation",
        classification: { name, color },
        isLocked: false,
        sidelight: { tool },
      },
    };
    this.mark(`drawing a ${tool === "point" ? "point" : "shape"}`, [{ op: "put", feature }]);
    desk.select([feature.id]);
    desk.say(`Marked: ${name}.`);
  }

  changed(id: string, geometry: Geometry | null): void {
    const feature = this.features.find((each) => each.id === id);
    if (!feature || !geometry || same(feature.geometry, geometry)) {
      this.session.changes.emit(); // draw it as it was
      if (feature && !geometry) this.desk.say("It would enclose nothing, so it was left alone.");
      return;
    }
    this.mark("a changed shape", [{ op: "put", feature: { ...feature, geometry } }]);
  }

  /** Remove a corner of a selected mark near `at`; whether there was one. */
  corner(at: Position, reach: number): boolean {
    for (const feature of this.selected) {
      const geometry = withoutCorner(feature.geometry, at, reach);
      if (!geometry) continue;
      this.mark("a removed corner", [{ op: "put", feature: { ...feature, geometry } }]);
      this.desk.say("Corner removed.");
      return true;
    }
    return false;
  }

  picked(id: string | null, more: boolean): void {
    const { desk } = this;
    if (id === null) {
      if (!more) desk.select([]);
      return;
    }
    if (more) desk.toggle(id);
    else desk.select([id]);
    const { tool } = desk;
    const areas = this.areas();
    const combining = tool === "union" || tool === "subtract";
    if (combining && areas.length > 1) void this.combine(tool, areas);
    else if (this.selected.length) desk.say(`Selected: ${this.selected.map(nameOf).join(", ")}.`);
  }

  remove(): void {
    const ids = this.selected.map((feature) => feature.id);
    if (!ids.length) {
      this.desk.say("Nothing is selected.");
      return;
    }
    this.session.change("a deletion", ids.map((id) => ({ op: "delete", id })));
    this.desk.select([]);
    this.desk.say(ids.length === 1 ? "Deleted." : `${ids.length} marks deleted.`);
  }

  /** Pick a class: for the selected marks, unless the next one is to be drawn. */
  classify(at: number): void {
    const classes = this.session.classes;
    const picked = classes[at];
    if (!picked) return;
    const { desk } = this;
    desk.pickClass(at);
    const drawing = ["polygon", "freehand", "point"].includes(desk.tool);
    if (drawing || !this.selected.length) desk.say(`Next mark: ${picked.name}.`);
    else this.reclassify(this.selected, picked);
  }

  reclassify(features: Feature[], { name, color }: MarkClass): void {
    const ops = features
      .filter((feature) => feature.properties.classification?.name !== name)
      .map((feature): Op => {
        const properties = { ...feature.properties, classification: { name, color } };
        return { op: "put", feature: { ...feature, properties } };
      });
    this.session.change("a change of class", ops);
    if (ops.length) this.desk.say(`Class: ${name}.`);
  }

  undo(): void {
    const name = this.session.undo();
    this.desk.say(name === null ? "There is nothing to undo." : `Undone: ${name}.`);
  }

  redo(): void {
    const name = this.session.redo();
    this.desk.say(name === null ? "There is nothing to redo." : `Done again: ${name}.`);
  }

  confidence(value: Confidence | null): void {
    this.session.change("confidence", [recordOp("confidence", value)]);
  }

  /** Of the tile in which it was typed, which need not be the open one any more. */
  comment(tile: string, value: string): void {
    const { session } = this;
    const ops = [recordOp("comment", value)];
    if (tile !== session.tile?.tile) session.put(tile, ops);
    else if (session.marks?.record.comment !== value) session.change("a comment", ops);
  }

  /** There is nothing to mark, or that is taken back. */
  nothing(value: boolean): void {
    const { marks } = this.session;
    if (!marks) return;
    if (value && marks.features.length) {
      this.desk.say("There are marks on this tile: delete them first.");
      return;
    }
    const ops = [recordOp("nothing", value)];
    if (value && marks.record.skip_reason !== null) ops.unshift(recordOp("skip_reason", null));
    this.session.change("nothing to mark", ops);
    this.desk.say(value ? "Nothing to mark here." : "This tile is open again.");
  }

  skip(reason: string | null): void {
    const { marks } = this.session;
    if (!marks) return;
    const ops = [recordOp("skip_reason", reason)];
    if (reason !== null && marks.record.nothing) ops.unshift(recordOp("nothing", false));
    this.session.change("skipping", ops);
    this.desk.say(reason === null ? "No longer skipped." : `Skipped: ${reason}.`);
  }

  private mark(name: string, ops: Op[]): void {
    const { marks } = this.session;
    if (marks) this.session.change(name, markingOps(marks, ops));
  }

  private areas(): Feature[] {
    return this.selected.filter((feature) => feature.geometry.type !== "Point");
  }

  /** The first of `marks` becomes the union, or what the others leave of it; the others go. */
  private async combine(op: "union" | "subtract", marks: Feature[], drawn?: Area): Promise<void> {
    const { desk, session } = this;
    const [first, ...others] = marks as [Feature, ...Feature[]];
    const { tile } = session;
    const areas = marks.map((feature) => feature.geometry as Area);
    let geometry: Area | null;
    try {
      ({ geometry } = await session.server.combine(op, drawn ? [...areas, drawn] : areas));
    } catch (error) {
      desk.say(`${COMBINED[op]} failed: ${error instanceof Error ? error.message : error}`);
      return;
    }
    if (session.tile !== tile) return;
    const ops: Op[] = others.map((other) => ({ op: "delete", id: other.id }));
    ops.unshift(
      geometry ? { op: "put", feature: { ...first, geometry } } : { op: "delete", id: first.id },
    );
    this.mark(op === "union" ? "a union" : "a subtraction", ops);
    desk.select(geometry ? [first.id] : []);
    desk.say(geometry ? `${COMBINED[op]} done.` : "Nothing is left of it, so it was deleted.");
  }
}

export function nameOf(feature: Feature): string {
  return feature.properties.classification?.name ?? "unclassified";
}
