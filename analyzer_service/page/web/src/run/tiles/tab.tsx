// The tab "Tiles" of a run.
import { Loading } from "../../base/frame";
import type { TabProps } from "../tabs";

export function TilesTab(_: TabProps) {
  return <Loading what="tiles" />;
}
