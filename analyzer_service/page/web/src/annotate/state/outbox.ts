// Brings kept changes to the server, in order, until it has them all.
import { ApiError } from "../../base/api";
import { newId } from "./ids";
import { Keeping, type Entry } from "./keeping";
import type { Server } from "./server";
import type { Marks, Op } from "./types";

export interface Saving {
  state: "saved" | "saving" | "waiting";
  /** Changes that the server does not have yet. */
  unsent: number;
  /** Of these, how many are not even kept in this browser. */
  lost: number;
  /** Why nothing is saved at present, in words. */
  reason: string | null;
  refused: Entry[];
}

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 8000;
const MOST_OPS = 200;
/** Answers that say that a change is wrong, not that its time is. */
const REFUSALS = [400, 413, 422];

export class Outbox {
  readonly keeping: Keeping;
  private entries: Entry[] = [];
  private sending = false;
  private alone = false;
  private waitMs = FIRST_WAIT_MS;
  private timer: number | undefined;
  private reason: string | null = null;
  /** Tiles whose changes could not be brought in this round. */
  private readonly stuck = new Set<string>();

  /**
   * @param acknowledged told of each answer: the tile, and its whole document.
   * @param changed told whenever the state of saving has changed.
   */
  constructor(
    private readonly server: Server,
    private readonly acknowledged: (tile: string, marks: Marks) => void,
    private readonly changed: () => void,
  ) {
    this.keeping = new Keeping(server.run, server.reader);
    this.entries = this.keeping.all();
  }

  /** Send what earlier pages left, and be ready for more. */
  async start(): Promise<void> {
    await this.keeping.recover();
    this.reread();
    this.wake();
  }

  close(): void {
    clearTimeout(this.timer);
  }

  /** Changes of a tile that the server does not have yet, in order. */
  pending(tile: string): Op[] {
    return this.entries.filter((entry) => entry.tile === tile).flatMap((entry) => entry.ops);
  }

  tiles(): Set<string> {
    return new Set(this.entries.map((entry) => entry.tile));
  }

  /** Keep a change, then send it. */
  add(tile: string, ops: Op[]): void {
    for (let first = 0; first < ops.length; first += MOST_OPS) {
      const sent = ops.slice(first, first + MOST_OPS).map((op) => ({ ...op, op_id: newId() }));
      const entry: Entry = { key: this.keeping.newKey(newId()), tile, ops: sent };
      this.entries.push(entry);
      void this.keeping.keep(entry).then(() => this.wake());
    }
    this.changed();
  }

  /** Take in what other tabs kept, and forget what they dropped. */
  reread(): void {
    this.entries = this.keeping.all();
    this.changed();
  }

  discard(key: string): void {
    this.keeping.drop(key);
    this.reread();
  }

  tryAgain(key: string): void {
    const entry = this.entries.find((each) => each.key === key);
    if (!entry) return;
    delete entry.refused;
    void this.keeping.keep(entry).then(() => this.wake());
    this.changed();
  }

  /** Try now rather than after the wait. */
  wake(): void {
    clearTimeout(this.timer);
    void this.run();
  }

  get saving(): Saving {
    const refused = this.entries.filter((entry) => entry.refused !== undefined);
    const unsent = this.entries.length - refused.length;
    const state = unsent === 0 ? "saved" : this.reason === null ? "saving" : "waiting";
    return { state, unsent, lost: this.keeping.lost, reason: this.reason, refused };
  }

  private async run(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    this.stuck.clear();
    try {
      let batch = this.next();
      while (batch.length && (await this.deliver(batch))) batch = this.next();
    } finally {
      this.sending = false;
      if (this.stuck.size) this.later();
      this.changed();
    }
  }

  /** The first entries of one tile; a single one after a refusal, to learn which was meant. */
  private next(): Entry[] {
    const due = this.entries.filter(
      (entry) => entry.refused === undefined && !this.stuck.has(entry.tile),
    );
    const first = due[0];
    if (!first || this.alone) return first ? [first] : [];
    let ops = 0;
    const batch: Entry[] = [];
    for (const entry of due) {
      if (entry.tile !== first.tile || (batch.length && ops + entry.ops.length > MOST_OPS)) break;
      ops += entry.ops.length;
      batch.push(entry);
    }
    return batch;
  }

  /** Whether it makes sense to go on. */
  private async deliver(batch: Entry[]): Promise<boolean> {
    const { tile } = batch[0]!;
    let marks: Marks;
    try {
      marks = await this.server.change(tile, batch.flatMap((entry) => entry.ops));
    } catch (error) {
      return this.failed(batch, error);
    }
    this.waitMs = FIRST_WAIT_MS;
    if (!this.stuck.size) this.reason = null;
    this.alone = false;
    for (const { key } of batch) this.keeping.drop(key);
    const sent = new Set(batch.map(({ key }) => key));
    this.entries = this.entries.filter(({ key }) => !sent.has(key));
    this.acknowledged(tile, marks);
    return true;
  }

  private failed(batch: Entry[], error: unknown): boolean {
    const said = error instanceof Error ? error.message : String(error);
    if (error instanceof ApiError && REFUSALS.includes(error.status)) {
      if (batch.length > 1) {
        this.alone = true;
        return true;
      }
      const [entry] = batch as [Entry];
      entry.refused = said;
      this.alone = false;
      void this.keeping.keep(entry);
      this.changed();
      return true;
    }
    this.stuck.add(batch[0]!.tile);
    const away = !(error instanceof ApiError) || error.status === 0;
    this.reason = away ? "the server does not answer" : said.replace(/\.$/, "");
    // One tile that cannot be written keeps no other from it; a server that is away does.
    return !away;
  }

  private later(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.run(), this.waitMs);
    this.waitMs = Math.min(2 * this.waitMs, LONGEST_WAIT_MS);
  }
}
