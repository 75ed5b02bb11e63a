// The way through the tiles: which are listed, which comes next.
import type { Session } from "./session";
import { Signal } from "./signal";
import type { Status, TileFacts } from "./types";

export type Filter = "all" | Status;

export class Tour {
  readonly changes = new Signal();
  filter: Filter = "all";

  /**
   * @param stays says why the open tile cannot be left, if so.
   * @param opens told of each tile before it is opened.
   * @param say tells the reader.
   */
  constructor(
    private readonly session: Session,
    private readonly stays: () => string | null,
    private readonly opens: (tile: TileFacts, next: TileFacts | undefined) => void,
    private readonly say: (text: string) => void,
  ) {}

  get tiles(): TileFacts[] {
    return this.session.overview?.tiles ?? [];
  }

  /** Tiles of the chosen status; the open one stays in the list although its status has changed. */
  get listed(): TileFacts[] {
    return this.tiles.filter(
      (tile) =>
        this.filter === "all" ||
        tile.tile === this.session.tile?.tile ||
        this.session.status(tile).status === this.filter,
    );
  }

  get done(): number {
    return this.tiles.filter((tile) => this.session.status(tile).status !== "open").length;
  }

  list(filter: Filter): void {
    this.filter = filter;
    this.changes.emit();
  }

  /** The tile that the address names, or else the first open one. */
  begin(): void {
    const { tiles } = this;
    const first = this.named() ?? tiles.find((tile) => tile.status === "open") ?? tiles[0];
    if (first && !this.session.tile) this.open(first);
  }

  /** Open the tile that the address names, after somebody has changed it. */
  follow(): void {
    const tile = this.named();
    if (tile && tile.tile !== this.session.tile?.tile) this.open(tile);
  }

  open(tile: TileFacts): void {
    const reason = this.stays();
    if (reason) {
      this.say(reason);
      return;
    }
    const at = this.placeOf(this.tiles, tile.tile);
    this.opens(tile, this.tiles[at + 1]);
    history.replaceState(null, "", `#${encodeURIComponent(tile.tile)}`);
    this.say(`Tile ${at + 1} of ${this.tiles.length}.`);
    void this.session.open(tile);
  }

  go(steps: 1 | -1): void {
    const { listed } = this;
    const next = listed[this.placeOf(listed, this.session.tile?.tile) + steps];
    if (next) this.open(next);
    else this.say(steps > 0 ? "This is the last tile." : "This is the first tile.");
  }

  /** The next tile that nothing was done of, around the end if need be. */
  nextOpen(): void {
    const at = this.placeOf(this.tiles, this.session.tile?.tile);
    const turned = [...this.tiles.slice(at + 1), ...this.tiles.slice(0, at + 1)];
    const next = turned.find((tile) => this.session.status(tile).status === "open");
    if (next) this.open(next);
    else this.say("Every tile is done.");
  }

  private named(): TileFacts | undefined {
    const name = addressed();
    return this.tiles.find(({ tile }) => tile === name);
  }

  private placeOf(tiles: readonly TileFacts[], name: string | undefined): number {
    return tiles.findIndex(({ tile }) => tile === name);
  }
}

function addressed(): string {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return ""; // no address that this page has written
  }
}
