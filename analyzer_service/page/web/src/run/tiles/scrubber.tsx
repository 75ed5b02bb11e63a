// One scrubber for all panels: which step, which phase, which tile.
import { useState } from "preact/hooks";

import { number } from "../../base/format";
import { stepWords, type Phase, type Step } from "./steps";

export interface ScrubberProps {
  /** Steps of the phase, in order. */
  steps: Step[];
  index: number;
  phases: Record<Phase, number>;
  phase: Phase;
  position: number;
  playing: boolean;
  following: boolean;
  running: boolean;
  go: (index: number) => void;
  setPhase: (phase: Phase) => void;
  setPosition: (position: number) => void;
  setPlaying: (playing: boolean) => void;
  setFollowing: (following: boolean) => void;
}

export function Scrubber(props: ScrubberProps) {
  const { steps, index, go, playing, setPlaying, following, setFollowing } = props;
  const step = steps[index]!;
  const last = steps.length - 1;
  return (
    <section class="scrubber" aria-label="Choose a step and a tile">
      <div class="row">
        <PhaseButtons {...props} />
        <span class="group">
          <Step name="First step" sign="|◀" off={index === 0} to={() => go(0)} />
          <Step name="Previous step" sign="◀" off={index === 0} to={() => go(index - 1)} />
          <button onClick={() => setPlaying(!playing)} aria-pressed={playing} title="Play (space)">
            {playing ? "Stop" : "Play"}
          </button>
          <Step name="Next step" sign="▶" off={index === last} to={() => go(index + 1)} />
          <Step name="Latest step" sign="▶|" off={index === last} to={() => go(last)} />
        </span>
        <input
          class="slider"
          type="range"
          aria-label="Step"
          aria-valuetext={`${stepWords(step)}, epoch ${step.epoch}`}
          min={0}
          max={last}
          value={index}
          onInput={(event) => go(Number(event.currentTarget.value))}
        />
        <NumberField steps={steps} step={step} go={go} />
        {props.running && (
          <button aria-pressed={following} onClick={() => setFollowing(!following)}>
            Follow the latest
          </button>
        )}
      </div>
      <div class="row">
        <span aria-live={playing ? "off" : "polite"}>
          <strong>{stepWords(step)}</strong>, epoch {step.epoch}, step{" "}
          {step.global_step.toLocaleString("en-US")} · batch SSIM {number(step.ssim, 3)} ·{" "}
          <span class="soft">
            {index + 1} of {steps.length} kept
          </span>
        </span>
        <TileButtons count={step.samples} {...props} />
      </div>
    </section>
  );
}

function Step({ name, sign, off, to }: { name: string; sign: string; off: boolean; to: () => void }) {
  return (
    <button class="sign" aria-label={name} title={name} disabled={off} onClick={to}>
      {sign}
    </button>
  );
}

const PHASE_NAMES: Record<Phase, string> = { val: "Validation", train: "Training" };

function PhaseButtons({ phases, phase, setPhase }: ScrubberProps) {
  return (
    <span class="group" role="group" aria-label="Phase">
      {(["val", "train"] as const).map((name) => (
        <button
          key={name}
          aria-pressed={phase === name}
          disabled={!phases[name]}
          onClick={() => setPhase(name)}
        >
          {PHASE_NAMES[name]} {phases[name]}
        </button>
      ))}
    </span>
  );
}

function TileButtons({ count, position, setPosition }: ScrubberProps & { count: number }) {
  return (
    <span class="group tiles" role="group" aria-label="Tile of the batch">
      <span class="soft">Tile</span>
      {Array.from({ length: count }, (_, i) => (
        <button
          key={i}
          aria-label={`Tile ${i + 1} of ${count}`}
          aria-pressed={i === position}
          onClick={() => setPosition(i)}
        >
          {i + 1}
        </button>
      ))}
    </span>
  );
}

/** The phase's own count of batches; goes to the nearest one that is kept. */
function NumberField({ steps, step, go }: { steps: Step[]; step: Step; go: (index: number) => void }) {
  const [typed, setTyped] = useState<string | null>(null);
  const leave = () => {
    const wanted = Number(typed);
    if (typed?.trim() && Number.isFinite(wanted)) go(nearest(steps, wanted));
    setTyped(null);
  };
  return (
    <label class="number">
      <span class="soft">batch</span>
      <input
        inputMode="numeric"
        size={6}
        value={typed ?? String(step.number)}
        onInput={(event) => setTyped(event.currentTarget.value)}
        onBlur={leave}
        onKeyDown={(event) => event.key === "Enter" && leave()}
      />
    </label>
  );
}

export function nearest(steps: Step[], wanted: number): number {
  let best = 0;
  steps.forEach((step, i) => {
    if (Math.abs(step.number - wanted) < Math.abs(steps[best]!.number - wanted)) best = i;
  });
  return best;
}
