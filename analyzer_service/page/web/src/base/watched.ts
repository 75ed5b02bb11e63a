// Streams of server-sent events, as a tab holds them or the hub of all tabs.
import { apiUrl } from "./api";

/** What a stream said: an event, or whether it stands. */
export type Said = { event: string; data: string } | { up: boolean };

/** What is watched: runs, and streams of other things by their addresses. */
export interface Watched {
  runs: string[];
  urls: string[];
}

/** What a tab asks the hub for. */
export interface Wish extends Watched {
  /** Whether what was said last is to be told again: it is no mere sign of life. */
  anew: boolean;
}

/** What the hub tells a tab: that it lives, or what was said of a run or by an address. */
export type Told = { alive: true } | { run: string; said: Said } | { url: string; said: Said };

const EVENTS = ["state", "gone", "marks", "overview"];
const RECONNECT_MS = 3000;
/** As many as the server tells of on one connection. */
const RUNS_OF_A_STREAM = 16;

/** Listens to `url`, for ever: a browser comes back by itself only where a connection was lost. */
export class Stream {
  private source: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly url: string,
    private readonly say: (said: Said) => void,
  ) {
    this.open();
  }

  close(): void {
    clearTimeout(this.timer);
    this.source?.close();
  }

  private open(): void {
    const source = (this.source = new EventSource(this.url));
    source.addEventListener("open", () => this.say({ up: true }));
    source.addEventListener("error", () => {
      this.say({ up: false });
      if (source.readyState !== EventSource.CLOSED) return;
      this.timer = setTimeout(() => this.open(), RECONNECT_MS);
    });
    for (const event of EVENTS) {
      source.addEventListener(event, ({ data }) => this.say({ event, data }));
    }
  }
}

/** The streams of all that is watched: of runs one, of other things one each. */
export class Streams {
  private readonly open = new Map<string, Stream>();
  /** The latest that was said of each run and by each address, for who comes later. */
  private readonly latest = new Map<string, Said>();

  constructor(private readonly tell: (told: Told) => void) {}

  /** What was said of what `wish` names, as far as it is watched already. */
  known({ runs, urls }: Watched): Told[] {
    const said = <K extends string>(names: string[], key: K) =>
      names.flatMap((name) => {
        const latest = this.latest.get(`${key} ${name}`);
        return latest ? [{ [key]: name, said: latest } as Told] : [];
      });
    return [...said(runs, "run"), ...said(urls, "url")];
  }

  /** Watch this and nothing else. */
  watch({ runs, urls }: Watched): void {
    const due = new Map<string, string[]>(urls.map((url) => [url, []]));
    const sorted = [...runs].sort();
    for (let at = 0; at < sorted.length; at += RUNS_OF_A_STREAM) {
      const some = sorted.slice(at, at + RUNS_OF_A_STREAM);
      due.set(apiUrl(["live"], { run: some }), some);
    }
    for (const [url, some] of due) if (!this.open.has(url)) this.begin(url, some);
    for (const [url, stream] of this.open) {
      if (due.has(url)) continue;
      stream.close();
      this.open.delete(url);
    }
    const names = new Set([...runs.map((run) => `run ${run}`), ...urls.map((url) => `url ${url}`)]);
    for (const name of this.latest.keys()) if (!names.has(name)) this.latest.delete(name);
  }

  private begin(url: string, runs: string[]): void {
    const say = (said: Said) => {
      if (runs.length === 0) return this.pass({ url, said }, `url ${url}`, "up" in said);
      const whom = "up" in said ? runs : [JSON.parse(said.data).run as string];
      for (const run of whom) this.pass({ run, said }, `run ${run}`, !("up" in said && said.up));
    };
    this.open.set(url, new Stream(url, say));
  }

  private pass(told: Told, name: string, kept: boolean): void {
    if (kept && "said" in told) this.latest.set(name, told.said);
    this.tell(told);
  }
}
