// Requests to the page's own server: JSON, raw arrays, and what went wrong in words.

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly body: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

export type TypedArray = Float32Array | Float64Array | Uint8Array | Int32Array;

/** Facts, and arrays by name, as `analyzer_service.page.answers.arrays` sends them. */
export interface Arrays<Facts> {
  facts: Facts;
  arrays: Map<string, { data: TypedArray; shape: number[] }>;
}

interface Place {
  name: string;
  dtype: "f4" | "f8" | "u1" | "i4";
  shape: number[];
  offset: number;
}

const KINDS = { f4: Float32Array, f8: Float64Array, u1: Uint8Array, i4: Int32Array };

/** URL below /api of path segments, which may hold anything, and of a query. */
export function apiUrl(
  segments: (string | number)[],
  query: Record<string, string | number | boolean | string[] | undefined> = {},
): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined) search.append(key, String(each));
    }
  }
  const path = segments.map((part) => encodeURIComponent(String(part))).join("/");
  return `/api/${path}${search.size ? `?${search}` : ""}`;
}

export async function getJson<T>(url: string, signal?: AbortSignal): Promise<T> {
  return (await (await ask(url, signal ? { signal } : {})).json()) as T;
}

export async function getArrays<Facts>(url: string, signal?: AbortSignal): Promise<Arrays<Facts>> {
  const body = await (await ask(url, signal ? { signal } : {})).arrayBuffer();
  const length = new DataView(body).getUint32(0, true);
  const head = new TextDecoder().decode(new Uint8Array(body, 4, length));
  const { arrays: places, ...facts } = JSON.parse(head) as { arrays: Place[] };
  const arrays = new Map<string, { data: TypedArray; shape: number[] }>();
  for (const { name, dtype, shape, offset } of places) {
    const size = shape.reduce((product, side) => product * side, 1);
    arrays.set(name, { data: new KINDS[dtype](body, 4 + length + offset, size), shape });
  }
  return { facts: facts as Facts, arrays };
}

/** Send JSON; answers what the server said. */
export async function send<T>(
  method: "POST" | "PUT" | "PATCH" | "DELETE",
  url: string,
  content: unknown,
  options: { keepalive?: boolean; signal?: AbortSignal } = {},
): Promise<T> {
  const response = await ask(url, {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(content),
    ...options,
  });
  return (response.status === 204 ? undefined : await response.json()) as T;
}

async function ask(url: string, options: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The page's server does not answer. Is it still running?");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  const said = typeof body.error === "string" ? body.error : await textOf(response);
  throw new ApiError(response.status, said, body);
}

async function textOf(response: Response): Promise<string> {
  return `The server answered ${response.status} ${response.statusText}.`;
}
