// The tab "Tiles" of a run: one step at a time, or the same tiles over time.
import { useEffect, useMemo, useState } from "preact/hooks";

import { Empty, Failed, Loading } from "../../base/frame";
import type { TabProps } from "../tabs";
import { useColorTables } from "./colors";
import { useLook } from "./look";
import { OneStep, type Start } from "./one_step";
import { OverTime } from "./over_time";
import { useSteps } from "./steps";
import { TileStore, type Place } from "./store";

import "./tiles.css";

type Mode = "step" | "time";
const MODES: Record<Mode, string> = { step: "One step", time: "Over time" };

export function TilesTab({ run, live }: TabProps) {
  const steps = useSteps(run, live);
  const { tables, error } = useColorTables();
  const store = useMemo(() => new TileStore(run), [run]);
  const [look, changeLook] = useLook();
  const [mode, setMode] = useState<Mode>(location.hash === "#tiles/over-time" ? "time" : "step");
  const [chosen, choose] = useState<Start | null>(placeOfAddress());
  useEffect(() => {
    if (mode === "time") history.replaceState(null, "", "#tiles/over-time");
  }, [mode]);

  if (error) return <Failed error={error} />;
  if (!steps.value && steps.error) return <Failed error={steps.error} retry={steps.retry} />;
  if (!steps.value || !tables) return <Loading what="tiles" />;
  if (!steps.value.length) return <NoTiles running={live.state?.status === "running"} />;
  const common = { run, live, store, tables, look, changeLook, steps: steps.value };
  const switchMode = (
    <span class="group" role="group" aria-label="View">
      {(Object.keys(MODES) as Mode[]).map((name) => (
        <button key={name} aria-pressed={mode === name} onClick={() => setMode(name)}>
          {MODES[name]}
        </button>
      ))}
    </span>
  );
  const open = (place: Place) => {
    choose(place);
    setMode("step");
  };
  return mode === "step" ? (
    <OneStep {...common} start={chosen} switchMode={switchMode} />
  ) : (
    <OverTime {...common} open={open} switchMode={switchMode} />
  );
}

function NoTiles({ running }: { running: boolean }) {
  return (
    <Empty title="No images are kept of this run.">
      <p>
        {running
          ? "The first appear with the first detailed step: a validation batch, or a training batch at each analysis_freq."
          : "It had no detailed step, or its images were removed from the folder frames/."}
      </p>
    </Empty>
  );
}

/** #tiles/val/21/0: phase, the phase's own count of batches, the tile's place in its batch. */
function placeOfAddress(): Start | null {
  const [, phase, number, position] = location.hash.slice(1).split("/");
  if (phase !== "val" && phase !== "train") return null;
  const wanted = number === "latest" ? null : Number(number) || 0;
  return { phase, number: wanted, release: 0, position: Number(position) || 0 };
}
