// What each tab of a run is given.
import type { Live } from "../base/live";

export interface TabProps {
  run: string;
  live: Live;
}
