// Colors of the style sheet, for what is drawn on a canvas.

/** Value of a custom property such as "--train", as the theme has it now. */
export function color(property: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(property).trim();
}

/** Call `changed` whenever colors change: by the button, or with the system. */
export function onThemeChange(changed: () => void): () => void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  document.addEventListener("themechange", changed);
  system.addEventListener("change", changed);
  return () => {
    document.removeEventListener("themechange", changed);
    system.removeEventListener("change", changed);
  };
}
