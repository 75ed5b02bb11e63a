// Others' marks of the open tile: hidden until the reader asks, which the server records.
import { Signal } from "./signal";
import type { Session } from "./session";

export class Others {
  readonly changes = new Signal();
  visible = false;

  constructor(private readonly session: Session) {}

  /** Whether they were shown on this tile before. */
  get seen(): boolean {
    return this.session.marks?.record.others_shown_at != null;
  }

  async show(): Promise<void> {
    const { tile } = this.session;
    await this.session.askForOthers();
    if (this.session.tile === tile) this.set(true);
  }

  hide(): void {
    this.set(false);
  }

  private set(visible: boolean): void {
    this.visible = visible;
    this.changes.emit();
  }
}
