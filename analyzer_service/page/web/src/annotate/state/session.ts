// One reader at work: the tiles, the document of the open one, and all that is on its way.
import { listenTo } from "../../base/sharing";
import { applied, inverse, recognized, statusOf } from "./document";
import { History } from "./history";
import { Outbox } from "./outbox";
import { Server } from "./server";
import { Signal } from "./signal";
import type { MarkClass, Marks, Op, OtherMarks, Overview, Status, TileFacts } from "./types";

const OVERVIEW_EVERY_MS = 500;
const REFRESH_MS = 30;
const OTHER_TAB_MS = 1500;

export class Session {
  readonly changes = new Signal();
  /** Given with the tile's name whenever the server's state of the open tile has changed. */
  readonly settled = new Signal();
  readonly server: Server;
  readonly outbox: Outbox;
  overview: Overview | null = null;
  /** Why the tiles, or the open one, cannot be shown. */
  failure: unknown = null;
  tileFailure: unknown = null;
  tile: TileFacts | null = null;
  /** The open tile's document with every change of this reader's, sent or not. */
  marks: Marks | null = null;
  /** Others' marks of the open tile, once the reader asked for them. */
  others: OtherMarks[] | null = null;

  private readonly known = new Map<string, Marks>();
  private readonly histories = new Map<string, History>();
  private readonly local = new Map<string, { status: Status; regions: number }>();
  private stopWatching: () => void = () => {};
  private stopListening: () => void = () => {};
  private overviewTimer: number | undefined;
  private refreshTimer: number | undefined;
  private wakeTimer: number | undefined;

  constructor(run: string, reader: string) {
    this.server = new Server(run, reader);
    this.outbox = new Outbox(
      this.server,
      (tile, marks) => this.learned(tile, marks),
      () => this.changes.emit(),
    );
  }

  start(): void {
    void this.outbox.start().then(() => this.show());
    void this.loadOverview();
    this.listenToServer();
    this.stopWatching = this.outbox.keeping.watch((_, kept) => this.otherTab(kept));
  }

  close(): void {
    this.outbox.close();
    this.stopListening();
    this.stopWatching();
    const timers = [this.overviewTimer, this.refreshTimer, this.wakeTimer];
    timers.forEach((timer) => clearTimeout(timer));
  }

  async loadOverview(): Promise<void> {
    try {
      this.overview = await this.server.overview();
      this.failure = null;
      const pending = this.outbox.tiles();
      for (const tile of this.local.keys()) if (!pending.has(tile)) this.local.delete(tile);
    } catch (error) {
      if (!this.overview) this.failure = error;
    }
    this.changes.emit();
  }

  async open(tile: TileFacts): Promise<void> {
    this.tile = tile;
    this.others = null;
    this.tileFailure = null;
    this.show();
    await this.refresh();
  }

  /** Ask for the open tile's document again. */
  async refresh(): Promise<void> {
    const tile = this.tile;
    if (!tile) return;
    try {
      this.learned(tile.tile, await this.server.marks(tile.tile));
      this.tileFailure = null;
    } catch (error) {
      if (!this.known.has(tile.tile) && this.tile === tile) this.tileFailure = error;
    }
    this.changes.emit();
  }

  async askForOthers(): Promise<void> {
    const tile = this.tile;
    if (!tile) return;
    const marks = await this.server.others(tile.tile);
    if (this.tile === tile) this.others = marks.others;
    this.learned(tile.tile, marks);
  }

  /** Do `ops` to the open tile: seen at once, kept in this browser, then sent. */
  change(name: string, ops: Op[]): void {
    if (!this.tile || !this.marks || !ops.length) return;
    this.history.did(name, ops, inverse(this.marks, ops));
    this.put(this.tile.tile, ops);
  }

  /** Do `ops` to a tile that need not be open; they are not to be undone. */
  put(tile: string, ops: Op[]): void {
    this.outbox.add(tile, ops);
    if (tile === this.tile?.tile) this.show();
  }

  /** Take the last change back; its name, or null where there is none. */
  undo(): string | null {
    return this.step(this.history.undo());
  }

  redo(): string | null {
    return this.step(this.history.redo());
  }

  get history(): History {
    const tile = this.tile?.tile ?? "";
    let history = this.histories.get(tile);
    if (!history) this.histories.set(tile, (history = new History()));
    return history;
  }

  /** Throw away a change that the server refused. */
  discard(key: string): void {
    this.outbox.discard(key);
    this.show();
  }

  async setClasses(classes: MarkClass[]): Promise<void> {
    const { classes: set } = await this.server.classes(classes);
    if (this.overview) this.overview = { ...this.overview, classes: set };
    this.changes.emit();
  }

  /** Whether the server knows by now that attention was shown on the open tile. */
  get attentionOnRecord(): boolean {
    const known = this.known.get(this.tile?.tile ?? "");
    return known?.record.attention_shown_at != null;
  }

  status(tile: TileFacts): { status: Status; regions: number } {
    return this.local.get(tile.tile) ?? { status: tile.status, regions: tile.regions };
  }

  get classes(): MarkClass[] {
    return this.overview?.classes ?? [];
  }

  /** A document that the server gave; older ones than what is known come too late. */
  learned(tile: string, marks: Marks): void {
    const known = this.known.get(tile);
    if (known && known.revision > marks.revision) return;
    const { revision, record } = marks;
    const features = recognized(known?.features ?? [], marks.features);
    this.known.set(tile, { revision, features, record });
    this.outbox.reread();
    this.note(tile);
    if (tile === this.tile?.tile) {
      this.show();
      this.settled.emit();
    }
  }

  private step(step: { name: string; ops: Op[] } | null): string | null {
    if (!step || !this.tile) return null;
    this.put(this.tile.tile, step.ops);
    return step.name;
  }

  private show(): void {
    const tile = this.tile?.tile;
    const known = tile === undefined ? undefined : this.known.get(tile);
    this.marks = known && tile !== undefined ? applied(known, this.outbox.pending(tile)) : null;
    if (tile !== undefined) this.note(tile);
    this.changes.emit();
  }

  /** Keep the tile's status in the list right before the server says it. */
  private note(tile: string): void {
    const known = this.known.get(tile);
    if (!known) return;
    const marks = applied(known, this.outbox.pending(tile));
    this.local.set(tile, { status: statusOf(marks), regions: marks.features.length });
  }

  private otherTab(kept: boolean): void {
    if (!kept) {
      // It was sent. What is shown holds it until the server's document, with it, is here.
      this.refreshTimer ??= setTimeout(() => {
        this.refreshTimer = undefined;
        void this.refresh();
      }, REFRESH_MS);
      return;
    }
    this.outbox.reread();
    this.show();
    // That tab sends it; should it be closed first, this one does.
    clearTimeout(this.wakeTimer);
    this.wakeTimer = setTimeout(() => this.outbox.wake(), OTHER_TAB_MS);
  }

  private listenToServer(): void {
    // What was said while the tab was hidden, or nobody answered, is asked for.
    let missed = false;
    const looked = () => (missed ||= document.hidden);
    document.addEventListener("visibilitychange", looked);
    const leave = listenTo(this.server.liveUrl(), (said) => {
      if (!("up" in said)) this.said(said.event, said.data);
      else if (!said.up) missed = true;
      else if (missed) {
        missed = false;
        this.outbox.wake();
        void this.loadOverview();
        void this.refresh();
      }
    });
    this.stopListening = () => {
      document.removeEventListener("visibilitychange", looked);
      leave();
    };
  }

  private said(event: string, data: string): void {
    if (event === "marks") this.heard(JSON.parse(data));
    else if (event === "overview") this.overviewSoon();
  }

  private heard({ tile, revision }: { tile: string; revision: number }): void {
    const known = this.known.get(tile)?.revision ?? -1;
    if (revision <= known) return; // this tab's own change
    if (tile === this.tile?.tile) void this.refresh();
    this.overviewSoon();
  }

  private overviewSoon(): void {
    this.overviewTimer ??= setTimeout(() => {
      this.overviewTimer = undefined;
      void this.loadOverview();
    }, OVERVIEW_EVERY_MS);
  }
}
