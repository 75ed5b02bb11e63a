// All that one reader works with, and the questions that stand before them.
import type { Easel } from "../canvas/stage";
import { Attention } from "./attention";
import { Desk } from "./desk";
import { Images } from "./images";
import { Others } from "./others";
import { Session } from "./session";
import { Signal } from "./signal";
import { Tour } from "./tour";
import { Work } from "./work";

export type Question = "help" | "attention" | "others";

export class Bench {
  readonly changes = new Signal();
  readonly session: Session;
  readonly desk = new Desk();
  readonly work: Work;
  readonly attention: Attention;
  readonly others: Others;
  readonly images: Images;
  readonly tour: Tour;
  easel: Easel | null = null;
  asked: Question | null = null;
  /** Whether the reader wants to be asked no more before attention is shown. */
  private agreed = false;

  constructor(run: string, reader: string) {
    this.session = new Session(run, reader);
    this.work = new Work(this.session, this.desk);
    this.work.settle = () => this.easel?.tools.finish();
    this.attention = new Attention(this.session);
    this.others = new Others(this.session);
    this.images = new Images(this.session.server);
    this.tour = new Tour(
      this.session,
      () => this.stays(),
      (_, next) => {
        this.attention.reset();
        this.others.hide();
        this.desk.select([]);
        if (next) this.images.get(next.tile).catch(() => {}); // it is asked for again when opened
      },
      (text) => this.desk.say(text),
    );
  }

  /** Begin; what is returned ends it. */
  start(): () => void {
    const { session, images, tour } = this;
    const warn = (event: BeforeUnloadEvent) => {
      if (session.outbox.keeping.atRisk) event.preventDefault();
    };
    const follow = () => tour.follow();
    addEventListener("beforeunload", warn);
    addEventListener("hashchange", follow);
    session.start();
    return () => {
      removeEventListener("beforeunload", warn);
      removeEventListener("hashchange", follow);
      session.close();
      images.close();
    };
  }

  ask(question: Question | null): void {
    this.asked = question;
    this.changes.emit();
  }

  toggleAttention(): void {
    if (this.attention.visible) this.attention.hide();
    else if (this.attention.seen || this.agreed) void this.attention.show();
    else this.ask("attention");
  }

  answerAttention(yes: boolean, always: boolean): void {
    this.ask(null);
    this.agreed ||= yes && always;
    if (yes) void this.attention.show();
  }

  toggleOthers(): void {
    if (this.others.visible) this.others.hide();
    else if (this.others.seen) this.answerOthers(true);
    else this.ask("others");
  }

  answerOthers(yes: boolean): void {
    this.ask(null);
    if (!yes) return;
    this.others.show().catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      this.desk.say(`Others’ marks cannot be shown: ${why}`);
    });
  }

  private stays(): string | null {
    const drawing = this.easel?.tools.drawing ?? false;
    return drawing ? "Finish the shape first, or give it up with Escape." : null;
  }
}
