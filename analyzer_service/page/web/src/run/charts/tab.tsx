// The tab "Charts" of a run.
import { Loading } from "../../base/frame";
import type { TabProps } from "../tabs";

export function ChartsTab(_: TabProps) {
  return <Loading what="charts" />;
}
