// Where changes are kept in this browser until the server has them: one entry a change, so that
// tabs do not write over each other. Local storage first, since it is written before a call
// returns; IndexedDB where that is full.

import type { SentOp } from "./types";

/** One change of the reader's: all of its ops are applied, or none. */
export interface Entry {
  key: string;
  tile: string;
  ops: SentOp[];
  /** Why the server refused it, if it did. */
  refused?: string;
}

const DATABASE = "sidelight-unsent";
const STORE = "changes";

export class Keeping {
  private readonly prefix: string;
  /** Entries that are not in local storage, but in IndexedDB or in this page only. */
  private readonly elsewhere = new Map<string, Entry>();
  /** Those of them that are not written yet, and those that could not be. */
  private readonly unwritten = new Set<string>();
  private readonly failed = new Set<string>();
  private database: Promise<IDBDatabase> | null = null;

  constructor(run: string, reader: string) {
    this.prefix = `sidelight:unsent:${JSON.stringify([run, reader])}:`;
  }

  /** Entries that could be kept nowhere: they end with the page. */
  get lost(): number {
    return this.failed.size;
  }

  /** Whether closing the page at this moment loses something. */
  get atRisk(): boolean {
    return this.failed.size + this.unwritten.size > 0;
  }

  newKey(id: string): string {
    // Keys sort by time, then by the order within a page.
    counter += 1;
    const time = Date.now().toString(36).padStart(9, "0");
    return `${this.prefix}${time}-${counter.toString(36).padStart(6, "0")}-${id}`;
  }

  all(): Entry[] {
    const entries = new Map(this.elsewhere);
    for (const key of storedKeys()) {
      if (!key.startsWith(this.prefix)) continue;
      const entry = parsed(key);
      if (entry) entries.set(key, entry);
    }
    return [...entries.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Keep an entry; what is returned is done once it is kept, wherever that was possible. */
  keep(entry: Entry): Promise<void> {
    const { key, ...content } = entry;
    try {
      localStorage.setItem(key, JSON.stringify(content));
      return Promise.resolve();
    } catch {
      this.elsewhere.set(key, entry);
      this.unwritten.add(key);
      return this.write((store) => store.put(entry))
        .catch(() => {
          if (this.elsewhere.has(key)) this.failed.add(key);
        })
        .finally(() => this.unwritten.delete(key));
    }
  }

  drop(key: string): void {
    try {
      localStorage.removeItem(key);
    } catch {
      // Storage is forbidden: there was nothing in it.
    }
    this.failed.delete(key);
    if (this.elsewhere.delete(key)) void this.write((store) => store.delete(key)).catch(() => {});
  }

  /** Entries that an earlier page left in IndexedDB. */
  async recover(): Promise<void> {
    try {
      const entries = (await this.read()) as Entry[];
      for (const entry of entries) {
        if (entry.key.startsWith(this.prefix)) this.elsewhere.set(entry.key, entry);
      }
    } catch {
      // No IndexedDB here: nothing was left in it.
    }
  }

  /** Call `changed` when another tab keeps or drops an entry of this reader's. */
  watch(changed: (key: string, kept: boolean) => void): () => void {
    const heard = (event: StorageEvent) => {
      if (event.key?.startsWith(this.prefix)) changed(event.key, event.newValue !== null);
    };
    addEventListener("storage", heard);
    return () => removeEventListener("storage", heard);
  }

  private async write(work: (store: IDBObjectStore) => IDBRequest): Promise<void> {
    const transaction = (await this.open()).transaction(STORE, "readwrite");
    work(transaction.objectStore(STORE));
    return new Promise((done, failed) => {
      transaction.oncomplete = () => done();
      transaction.onabort = () => failed(transaction.error);
    });
  }

  private async read(): Promise<unknown[]> {
    const request = (await this.open()).transaction(STORE).objectStore(STORE).getAll();
    return new Promise((done, failed) => {
      request.onsuccess = () => done(request.result);
      request.onerror = () => failed(request.error);
    });
  }

  private open(): Promise<IDBDatabase> {
    this.database ??= new Promise((done, failed) => {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
      request.onsuccess = () => done(request.result);
      request.onerror = () => failed(request.error);
    });
    return this.database;
  }
}

let counter = 0;

function storedKeys(): string[] {
  try {
    return Object.keys(localStorage);
  } catch {
    return [];
  }
}

function parsed(key: string): Entry | null {
  try {
    return { key, ...JSON.parse(localStorage.getItem(key)!) } as Entry;
  } catch {
    return null;
  }
}
