// One for all tabs of a browser (a SharedWorker). It holds the streams that they watch: a browser
// has six connections for a host, and each of its windows would hold one for good.
import { Streams, type Told, type Wish } from "../base/watched";

/** A tab that says nothing for so long is gone; browsers tell nobody when one is closed. */
const SILENT_MS = 40_000;
const CHECK_MS = 5_000;

interface Tab {
  port: MessagePort;
  runs: Set<string>;
  urls: Set<string>;
  heardAt: number;
}

const tabs = new Set<Tab>();
const streams = new Streams((told) => {
  for (const tab of tabs) if (concerns(tab, told)) tab.port.postMessage(told);
});

addEventListener("connect", (event) => {
  const port = (event as MessageEvent).ports[0]!;
  const tab: Tab = { port, runs: new Set(), urls: new Set(), heardAt: 0 };
  port.onmessage = ({ data }: MessageEvent<Wish>) => heard(tab, data);
});

setInterval(() => {
  const oldest = performance.now() - SILENT_MS;
  for (const tab of tabs) if (tab.heardAt < oldest) tabs.delete(tab);
  watchAll();
}, CHECK_MS);

function heard(tab: Tab, wish: Wish): void {
  tab.heardAt = performance.now();
  const say = (told: Told) => tab.port.postMessage(told);
  say({ alive: true });
  tab.runs = new Set(wish.runs);
  tab.urls = new Set(wish.urls);
  if (wish.runs.length + wish.urls.length) tabs.add(tab);
  else tabs.delete(tab);
  if (wish.anew) streams.known(wish).forEach(say);
  watchAll();
}

function watchAll(): void {
  streams.watch({
    runs: [...new Set([...tabs].flatMap((tab) => [...tab.runs]))],
    urls: [...new Set([...tabs].flatMap((tab) => [...tab.urls]))],
  });
}

function concerns(tab: Tab, told: Told): boolean {
  if ("run" in told) return tab.runs.has(told.run);
  return "url" in told && tab.urls.has(told.url);
}
