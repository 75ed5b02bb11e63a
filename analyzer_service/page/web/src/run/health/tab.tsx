// The tab "Health" of a run: whether all is well, and if not, what is wrong and what to do.
import { Empty, Failed, Loading } from "../../base/frame";
import type { TabProps } from "../tabs";
import { ActiveAlerts, ClearedAlerts } from "./alerts";
import { FrameTable, FailureTable, RecordTable } from "./books";
import { Cards } from "./cards";
import { Charts } from "./charts";
import { useHealth, type Health } from "./facts";
import { Starts } from "./starts";
import { Verdict } from "./verdict";

import "./health.css";

export function HealthTab({ run, live }: TabProps) {
  const { value: health, error, refresh } = useHealth(run, live);
  return (
    <div class="health">
      {error !== null && <Failed error={error} retry={refresh} />}
      {health === null ? error === null && <Loading what="the run's health" /> : <Told health={health} />}
    </div>
  );
}

function Told({ health }: { health: Health }) {
  return (
    <>
      <Verdict health={health} />
      {health.current === null ? (
        <Empty title="No analyzer noted its own health in this run's folder">
          <p>
            A run that was replayed has none, and neither has one of an earlier version. A live run's
            first numbers come 2 seconds after its first record. What the run's own database tells
            stands below.
          </p>
        </Empty>
      ) : (
        <Cards health={health} line={health.current} />
      )}
      <ActiveAlerts alerts={health.alerts.active} going={health.status === "running"} />
      <Charts health={health} />
      <div class="tables">
        <FrameTable books={health.frames} />
        <RecordTable books={health.records} />
        <FailureTable failures={health.failures} />
        <ClearedAlerts alerts={health.alerts} />
        <Starts starts={health.incarnations} />
      </div>
    </>
  );
}
