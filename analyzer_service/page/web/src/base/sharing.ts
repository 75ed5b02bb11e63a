// What this tab watches, over the hub that all tabs of the browser share; by itself where there is
// none, or it does not answer. A tab that nobody looks at watches nothing.
import { Streams, type Said, type Told, type Wish } from "./watched";

/** Address of the hub's script; the build puts it in. */
declare const HUB: string;

/** A sign of life to the hub, which forgets who gives none for several of these. */
const ALIVE_MS = 10_000;
/** A hub that answers later than this is dead. */
const ANSWER_MS = 4_000;

type Call = (said: Said) => void;

const calls = { run: new Map<string, Set<Call>>(), url: new Map<string, Set<Call>>() };
let hub: SharedWorker | null = null;
let alone: Streams | null = null;
let wished: Wish = { runs: [], urls: [], anew: true };
let [pulse, unanswered] = [0, 0];
let [due, leaving] = [false, false];

/** Told what is said of a run, as long as somebody looks at this tab. */
export function listenToRun(run: string, call: Call): () => void {
  return listen(calls.run, run, call);
}

/** Told what the stream at an address says, as long as somebody looks at this tab. */
export function listenTo(url: string, call: Call): () => void {
  return listen(calls.url, url, call);
}

function listen(all: Map<string, Set<Call>>, name: string, call: Call): () => void {
  all.set(name, (all.get(name) ?? new Set()).add(call));
  soon();
  return () => {
    const left = all.get(name);
    left?.delete(call);
    if (left?.size === 0) all.delete(name);
    soon();
  };
}

/** Once for all that begins and ends to be watched in one go. */
function soon(): void {
  if (due) return;
  due = true;
  queueMicrotask(() => {
    due = false;
    wish();
  });
}

function wish(): void {
  const looked = !document.hidden && !leaving;
  const names = (of: Map<string, unknown>) => (looked ? [...of.keys()] : []);
  wished = { runs: names(calls.run), urls: names(calls.url), anew: true };
  clearInterval(pulse);
  if (!idle()) pulse = window.setInterval(() => ask({ ...wished, anew: false }), ALIVE_MS);
  else if (!hub && !alone) return;
  ask(wished);
}

function idle(): boolean {
  return wished.runs.length + wished.urls.length === 0;
}

function ask(wish: Wish): void {
  if (alone) return watchAlone();
  try {
    hub ??= connected();
  } catch {
    return watchAlone(); // this browser has no shared workers
  }
  hub.port.postMessage(wish);
  clearTimeout(unanswered);
  if (!idle()) unanswered = window.setTimeout(watchAlone, ANSWER_MS);
}

function connected(): SharedWorker {
  const worker = new SharedWorker(HUB, { name: "sidelight" });
  worker.onerror = watchAlone;
  worker.port.onmessage = ({ data }: MessageEvent<Told>) => {
    clearTimeout(unanswered);
    if (!alone) hear(data);
  };
  return worker;
}

function watchAlone(): void {
  clearTimeout(unanswered);
  hub?.port.close();
  hub = null;
  alone ??= new Streams(hear);
  alone.watch(wished);
  if (wished.anew) alone.known(wished).forEach(hear);
}

function hear(told: Told): void {
  if ("run" in told) calls.run.get(told.run)?.forEach((call) => call(told.said));
  else if ("url" in told) calls.url.get(told.url)?.forEach((call) => call(told.said));
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    // A hub that did not answer may have been replaced since.
    alone?.watch({ runs: [], urls: [] });
    alone = null;
  }
  wish();
});
addEventListener("pagehide", () => {
  leaving = true;
  wish();
});
addEventListener("pageshow", (event) => {
  leaving = false;
  if (event.persisted) wish();
});
