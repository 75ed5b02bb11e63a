// The starts of the run: one, unless it was resumed.
import { count, moment, number } from "../../base/format";
import type { Start } from "./facts";

export function Starts({ starts }: { starts: Start[] }) {
  return (
    <section aria-labelledby="starts-of">
      <h2 id="starts-of">Starts</h2>
      <div class="scrolled">
        <table>
          <thead>
            <tr>
              <th class="number">Start</th>
              <th>When</th>
              <th>Goes on after step</th>
              <th>Device</th>
            </tr>
          </thead>
          <tbody>
            {starts.map((start) => (
              <tr key={start.incarnation}>
                <td class="number">{start.incarnation}</td>
                <td>{moment(start.started_at)}</td>
                <td>{start.resumed_from_step === null ? "the beginning" : number(start.resumed_from_step)}</td>
                <td>
                  {start.device}
                  {start.world_size > 1 && `, ${count(start.world_size, "rank")}`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
