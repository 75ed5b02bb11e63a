// The tab "Health" of a run.
import { Loading } from "../../base/frame";
import type { TabProps } from "../tabs";

export function HealthTab(_: TabProps) {
  return <Loading what="health" />;
}
