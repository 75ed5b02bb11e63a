// All panels of one step's tile, moved through the run by one scrubber.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import { Failed, Loading } from "../../base/frame";
import type { Live } from "../../base/live";
import type { Tables } from "./colors";
import { FactsOfTile } from "./facts";
import type { Look } from "./look";
import { LookControls } from "./look_controls";
import { Pictures } from "./pictures";
import { Pointer } from "./pointer";
import { useScrubbingKeys } from "./scrubbing_keys";
import { nearest, Scrubber } from "./scrubber";
import { prefetch, useShown } from "./shown";
import type { Phase, Step } from "./steps";
import type { Place, TileStore } from "./store";
import { WHOLE, type View } from "./view";

const AHEAD = 4;
const BEHIND = 1;
const PLAYED_MS = 250;

/** A step to begin at; `number` is null for the latest. */
export type Start = Omit<Place, "number"> & { number: number | null };

export interface OneStepProps {
  live: Live;
  store: TileStore;
  tables: Tables;
  look: Look;
  changeLook: (part: Partial<Look>) => void;
  steps: Step[];
  /** Where to begin: at the latest step if none is given. */
  start: Start | null;
  switchMode: ComponentChildren;
}

export function OneStep({ live, store, tables, look, changeLook, steps, start, switchMode }: OneStepProps) {
  const running = live.state?.status === "running";
  const [phase, setPhase] = useState<Phase>(() => (start?.phase as Phase) ?? usualPhase(steps));
  const [number, setNumber] = useState<number | null>(start?.number ?? null); // null: the latest
  const [release, setRelease] = useState(start?.release ?? 0);
  const [position, setPosition] = useState(start?.position ?? 0);
  const [playing, setPlaying] = useState(false);
  const [view, setView] = useState<View>(WHOLE);
  const pointer = useMemo(() => new Pointer(), []);
  const linked = { view, setView, pointer };

  const phases = useMemo(() => countPhases(steps), [steps]);
  const some = phases[phase] ? phase : usualPhase(steps);
  const ofPhase = useMemo(() => inOrder(steps, some), [steps, some]);
  const following = number === null;
  const index = following ? ofPhase.length - 1 : indexOf(ofPhase, number, release);
  const step = ofPhase[index]!;
  const at = Math.min(position, Math.max(0, step.samples - 1));
  const place = useMemo(() => placeOf(step, at), [step, at]);
  const { loaded, error, busy } = useShown(store, place, look.nuclei);
  const direction = useDirection(index);

  const go = (to: number) => {
    const target = ofPhase[Math.min(ofPhase.length - 1, Math.max(0, to))]!;
    setNumber(target.number);
    setRelease(target.release);
  };
  const tile = (to: number) => setPosition(Math.min(step.samples - 1, Math.max(0, to)));
  useScrubbingKeys({
    ArrowLeft: () => go(index - 1),
    ArrowRight: () => go(index + 1),
    ArrowUp: () => tile(at - 1),
    ArrowDown: () => tile(at + 1),
    Home: () => go(0),
    End: () => go(ofPhase.length - 1),
    " ": () => setPlaying(!playing),
  });
  useEffect(() => {
    const number = following && running ? "latest" : step.number;
    history.replaceState(null, "", `#tiles/${some}/${number}/${at}`);
  }, [some, step, at, following, running]);
  useEffect(() => {
    if (!loaded || busy) return;
    const stop = new AbortController();
    const next = neighbors(ofPhase, index, direction).map((each) => placeOf(each, at));
    void prefetch(store, next, look.nuclei, stop.signal);
    return () => stop.abort();
  }, [loaded, busy]);
  useEffect(() => {
    if (!loaded || busy || !playing) return;
    if (index === ofPhase.length - 1) {
      setPlaying(false);
      return;
    }
    const timer = setTimeout(() => go(index + 1), PLAYED_MS);
    return () => clearTimeout(timer);
  }, [loaded, busy, playing]);

  const root = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    // Says what the panels show, once all of them are painted.
    if (loaded) root.current!.dataset.shown = `${loaded.place.phase}/${loaded.place.number}/${loaded.position}`;
  }, [loaded]);

  return (
    <div class="tiles-tab" ref={root} aria-busy={busy}>
      <Scrubber
        steps={ofPhase}
        index={index}
        phases={phases}
        phase={some}
        position={at}
        playing={playing}
        following={following}
        running={running}
        go={go}
        setPhase={(next) => {
          setPhase(next);
          setNumber(null);
        }}
        setPosition={tile}
        setPlaying={setPlaying}
        setFollowing={(follow) => (follow ? setNumber(null) : go(index))}
      />
      <LookControls look={look} change={changeLook} linked={linked} nuclei={true}>
        {switchMode}
      </LookControls>
      {error ? (
        <Failed error={error} />
      ) : loaded ? (
        <div class="step">
          <div class="panels" style={{ "--least": `${look.width}px` }}>
            <Pictures shown={loaded} look={look} tables={tables} linked={linked} />
          </div>
          <FactsOfTile shown={loaded} store={store} place={loaded.place} />
        </div>
      ) : (
        <Loading what="the tile" />
      )}
      <p class="soft keys">
        <kbd>←</kbd> <kbd>→</kbd> steps, <kbd>↑</kbd> <kbd>↓</kbd> tiles, <kbd>Home</kbd> <kbd>End</kbd> first and
        latest, <kbd>Space</kbd> plays. On a picture: <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> or Ctrl and the wheel
        zoom, Shift and arrows or dragging move.
      </p>
    </div>
  );
}

function placeOf({ phase, number, release }: Step, position: number): Place {
  return { phase, number, release, position };
}

function usualPhase(steps: Step[]): Phase {
  return steps.some((step) => step.phase === "val") ? "val" : "train";
}

function countPhases(steps: Step[]): Record<Phase, number> {
  const val = steps.filter((step) => step.phase === "val").length;
  return { val, train: steps.length - val };
}

function inOrder(steps: Step[], phase: Phase): Step[] {
  return steps
    .filter((step) => step.phase === phase)
    .sort((one, other) => one.number - other.number || one.rank - other.rank);
}

/** The chosen step, or the nearest one where it is gone or was made anew. */
function indexOf(steps: Step[], number: number, release: number): number {
  const same = steps.findIndex((step) => step.release === release && step.number === number);
  return same < 0 ? nearest(steps, number) : same;
}

function useDirection(index: number): number {
  const before = useRef(index);
  const direction = useRef(1);
  if (index !== before.current) direction.current = Math.sign(index - before.current);
  before.current = index;
  return direction.current;
}

/** Steps that are likely next: more of them in the direction of travel. */
function neighbors(steps: Step[], index: number, direction: number): Step[] {
  const offsets = [...Array(AHEAD).keys()].map((i) => direction * (i + 1));
  offsets.push(...[...Array(BEHIND).keys()].map((i) => -direction * (i + 1)));
  return offsets.map((offset) => steps[index + offset]).filter((step) => step !== undefined);
}
