// Lag, queue, memory and drops over time, small: their shape tells, not their digits.
import { bytes, number } from "../../base/format";
import { seconds } from "./cards";
import { SmallChart, type Curve } from "./small_chart";
import type { Health } from "./facts";

export function Charts({ health }: { health: Health }) {
  const { history, trainer_memory: memory } = health;
  if (history.at.length < 2 && memory.at.length < 2) return null;
  return (
    <section aria-labelledby="over-time">
      <h2 id="over-time">Over time</h2>
      <div class="small-charts">
        {history.at.length >= 2 && <Noted health={health} />}
        {memory.at.length >= 2 && (
          <SmallChart
            title="Memory of the trainer"
            at={memory.at}
            curves={[curve("trainer", "--train", memory.mb.map((mb) => mb * 2 ** 20))]}
            words={bytes}
        binary
          />
        )}
      </div>
    </section>
  );
}

function Noted({ health: { history } }: { health: Health }) {
  const { at } = history;
  return (
    <>
      <SmallChart
        title="Lag"
        at={at}
        curves={[
          curve("from the trainer", "--train", history.ingest_lag_s),
          curve("oldest frame at work", "--val", history.work_lag_s),
        ]}
        words={seconds}
      />
      <SmallChart
        title="Waiting"
        at={at}
        curves={[
          curve("frames", "--train", history.frames_waiting),
          curve("records", "--val", history.records_uncommitted),
        ]}
        words={number}
      />
      <SmallChart
        title="Waiting bytes"
        at={at}
        curves={[
          curve("here", "--train", history.waiting_bytes),
          curve("in the trainer", "--val", history.trainer_waiting_bytes),
        ]}
        words={bytes}
        binary
      />
      <SmallChart
        title="Memory of the analyzer"
        at={at}
        curves={[
          curve("itself", "--train", history.rss_bytes),
          curve("its processes", "--val", history.children_rss_bytes),
        ]}
        words={bytes}
        binary
      />
      <SmallChart
        title="Frames dropped so far"
        at={at}
        curves={[curve("dropped", "--bad", history.dropped)]}
        words={number}
      />
    </>
  );
}

function curve(name: string, color: string, values: (number | null)[]): Curve {
  return { name, color, values };
}
