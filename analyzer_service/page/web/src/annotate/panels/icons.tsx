// Pictures of the tools, drawn for this page: 24 units wide, in the color of the text.
import type { ComponentChildren } from "preact";

const PATHS: Record<string, ComponentChildren> = {
  select: <path d="M6 3l13 9-6 1.2L16 20l-2.8 1.3L10 14.6 6 18z" />,
  polygon: (
    <>
      <path d="M5 9l8-5 7 7-4 9H7z" />
      {[[5, 9], [13, 4], [20, 11], [16, 20], [7, 20]].map(([x, y]) => (
        <circle cx={x} cy={y} r="1.7" fill="currentColor" />
      ))}
    </>
  ),
  freehand: <path d="M4 14c0-6 5-10 10-9s7 5 5 9-6 2-8 4-7 1-7-4z" />,
  point: (
    <>
      <circle cx="12" cy="12" r="3" fill="currentColor" />
      <path d="M12 2.5v5M12 16.5v5M2.5 12h5M16.5 12h5" />
    </>
  ),
  edit: (
    <>
      <path d="M4 19L9 6l11 4" />
      <rect x="7" y="4" width="4" height="4" fill="currentColor" />
      <rect x="2" y="17" width="4" height="4" fill="currentColor" />
      <rect x="18" y="8" width="4" height="4" fill="currentColor" />
    </>
  ),
  move: <path d="M12 3v18M3 12h18M12 3L9 6M12 3l3 3M12 21l-3-3M12 21l3-3M3 12l3-3M3 12l3 3M21 12l-3-3M21 12l-3 3" />,
  union: <path d="M9 4a6 6 0 016 5 6 6 0 11-6 6 6 6 0 010-11z" fill="currentColor" fill-opacity="0.3" />,
  subtract: (
    <>
      <path d="M14 9.5A6 6 0 108.5 16a6 6 0 015.5-6.5z" fill="currentColor" fill-opacity="0.3" />
      <circle cx="15" cy="15" r="6" stroke-dasharray="2.5 2.5" />
    </>
  ),
  remove: <path d="M4 6h16M9 6V4h6v2M6 6l1 14h10l1-14M10 10v6M14 10v6" />,
  undo: <path d="M8 5L4 9l4 4M4 9h10a6 6 0 010 12h-3" />,
  redo: <path d="M16 5l4 4-4 4M20 9H10a6 6 0 000 12h3" />,
  closer: <path d="M10.5 4a6.5 6.5 0 110 13 6.5 6.5 0 010-13zM15.5 15.5L21 21M10.5 7.5v6M7.5 10.5h6" />,
  farther: <path d="M10.5 4a6.5 6.5 0 110 13 6.5 6.5 0 010-13zM15.5 15.5L21 21M7.5 10.5h6" />,
  fit: <path d="M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5" />,
  attention: (
    <>
      <path d="M2 12c3-5 6.5-7 10-7s7 2 10 7c-3 5-6.5 7-10 7s-7-2-10-7z" />
      <circle cx="12" cy="12" r="3.2" fill="currentColor" />
    </>
  ),
  labels: <path d="M4 5h9l7 7-8 8-8-8zM8.5 9.5h.01" />,
  help: (
    <>
      <circle cx="12" cy="12" r="9" />
      <path d="M9.5 9.5a2.5 2.5 0 115 0c0 1.700-2.5 2-2.5 4M12 17h.01" />
    </>
  ),
  open: <circle cx="12" cy="12" r="7" />,
  marked: <path d="M5 12.5l5 5L20 7" />,
  nothing: <path d="M12 4a8 8 0 110 16 8 8 0 010-16zM6.5 17.5l11-11" />,
  skipped: <path d="M5 5l7 7-7 7M13 5l7 7-7 7" />,
};

export function Icon({ name }: { name: string }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {PATHS[name]}
    </svg>
  );
}
