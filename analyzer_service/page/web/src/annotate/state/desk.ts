// What the reader has in hand: the tool, the class of the next mark, what is selected.
import { recall, remember } from "../../base/memory";
import { Signal } from "./signal";

export type Tool =
  | "select" | "polygon" | "freehand" | "point" | "edit" | "move" | "union" | "subtract";

export class Desk {
  readonly changes = new Signal();
  tool: Tool = recall<Tool>("annotate:tool", "polygon");
  /** Ids of the selected marks, in the order in which they were selected. */
  selected: readonly string[] = [];
  classAt = 0;
  /** How union and subtract draw the second shape. */
  drawsBy: "freehand" | "polygon" = recall("annotate:drawsBy", "freehand");
  /** Whether marks are labelled with their classes. */
  labels: boolean = recall("annotate:labels", true);
  /** Whether a click on a corner removes it, while corners are edited. */
  removing = false;
  /** What was last said to the reader: seen, and read out. */
  said: { text: string; at: number } = { text: "", at: 0 };

  take(tool: Tool): void {
    this.tool = tool;
    this.removing = false;
    remember("annotate:tool", tool);
    this.changes.emit();
  }

  drawBy(way: "freehand" | "polygon"): void {
    this.drawsBy = way;
    remember("annotate:drawsBy", way);
    this.changes.emit();
  }

  select(ids: readonly string[]): void {
    const same = ids.every((id, i) => id === this.selected[i]);
    if (same && ids.length === this.selected.length) return;
    this.selected = ids;
    this.changes.emit();
  }

  /** Add to the selection, or take out of it. */
  toggle(id: string): void {
    const without = this.selected.filter((each) => each !== id);
    this.select(without.length < this.selected.length ? without : [...this.selected, id]);
  }

  label(labels: boolean): void {
    this.labels = labels;
    remember("annotate:labels", labels);
    this.changes.emit();
  }

  remove(removing: boolean): void {
    this.removing = removing;
    this.changes.emit();
  }

  pickClass(at: number): void {
    this.classAt = at;
    this.changes.emit();
  }

  say(text: string): void {
    this.said = { text, at: this.said.at + 1 };
    this.changes.emit();
  }
}
