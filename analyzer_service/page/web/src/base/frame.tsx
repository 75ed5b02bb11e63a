// The bar on top of every page, and what stands where there is nothing to show yet.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import { recall, remember } from "./memory";

import "./base.css";

type Theme = "system" | "light" | "dark";
const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };

applyTheme(recall<Theme>("theme", "system"));

function applyTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  document.dispatchEvent(new CustomEvent("themechange"));
}

export function Bar({ children }: { children?: ComponentChildren }) {
  return (
    <header class="bar">
      <a class="brand" href="/">
        Sidelight
      </a>
      {children}
      <span class="grow" />
      <ThemeButton />
    </header>
  );
}

function ThemeButton() {
  const [theme, setTheme] = useState<Theme>(recall<Theme>("theme", "system"));
  const change = () => {
    const next = NEXT[theme];
    remember("theme", next);
    applyTheme(next);
    setTheme(next);
  };
  return (
    <button class="quiet" onClick={change} title="Colors of the page: as the system has them, light, or dark">
      Colors: {theme}
    </button>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <p class="notice" role="status">
      Loading {what}…
    </p>
  );
}

/** Nothing to show: what it is that is missing, and what makes it appear. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="notice">
      <p>
        <strong>{title}</strong>
      </p>
      {children}
    </div>
  );
}

export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const said = error instanceof Error ? error.message : String(error);
  return (
    <div class="notice bad" role="alert">
      <p>{said}</p>
      {retry && <button onClick={retry}>Try again</button>}
    </div>
  );
}
