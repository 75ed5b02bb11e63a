// Times as a list needs them: short, and going on by themselves.
import { useEffect, useState } from "preact/hooks";

import { duration, moment } from "../base/format";
import { serverNow } from "./listing";

/** Day and time, the day left out where it is today. */
export function Started({ at }: { at: number | null }) {
  if (at === null) return <>–</>;
  const date = new Date(at * 1000);
  return (
    <time dateTime={date.toISOString()} title={moment(at)}>
      {short(date, new Date())}
    </time>
  );
}

function short(date: Date, today: Date): string {
  const clock = date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === today.toDateString()) return clock;
  const day = date.toLocaleDateString(undefined, {
    month: "short",
    day: "numeric",
    ...(date.getFullYear() === today.getFullYear() ? {} : { year: "numeric" }),
  });
  return `${day}, ${clock}`;
}

/** Seconds since a time, counted on. */
export function Since({ at }: { at: number }) {
  useTick();
  return <>{whole(serverNow() - at)}</>;
}

/** A duration without parts of a second, which nobody can read as they pass. */
export function whole(seconds: number): string {
  return seconds < 60 ? `${Math.max(0, Math.round(seconds))} s` : duration(seconds);
}

function useTick(): void {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((before) => before + 1), 1000);
    return () => clearInterval(timer);
  }, []);
}
