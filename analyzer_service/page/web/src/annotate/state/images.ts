// Images of tiles, each asked for once, the next ones before they are needed.
import { ApiError } from "../../base/api";
import type { Server } from "./server";

const MOST = 32;

export class Images {
  private readonly urls = new Map<string, Promise<string>>();

  constructor(private readonly server: Server) {}

  /** Address within this page of a tile's image. */
  get(tile: string): Promise<string> {
    const known = this.urls.get(tile);
    const url = known ?? this.load(tile);
    this.urls.delete(tile); // so that the oldest one comes first
    this.urls.set(tile, url);
    this.forget();
    return url;
  }

  close(): void {
    for (const url of this.urls.values()) void url.then(URL.revokeObjectURL, () => {});
    this.urls.clear();
  }

  private load(tile: string): Promise<string> {
    const url = fetchImage(this.server.imageUrl(tile));
    url.catch(() => this.urls.delete(tile)); // to be asked for again
    return url;
  }

  private forget(): void {
    for (const [tile, url] of this.urls) {
      if (this.urls.size <= MOST) return;
      this.urls.delete(tile);
      void url.then(URL.revokeObjectURL, () => {});
    }
  }
}

async function fetchImage(url: string): Promise<string> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch {
    throw new ApiError(0, "The page's server does not answer. Is it still running?");
  }
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    throw new ApiError(response.status, body.error ?? "The image of this tile cannot be read.");
  }
  return URL.createObjectURL(await response.blob());
}
