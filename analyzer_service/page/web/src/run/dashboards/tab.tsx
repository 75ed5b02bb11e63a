// The tab "Dashboards" of a run.
import { Loading } from "../../base/frame";
import type { TabProps } from "../tabs";

export function DashboardsTab(_: TabProps) {
  return <Loading what="dashboards" />;
}
