// Alerts of the training: those that go on, and those that have cleared.
import { count, duration, moment, number } from "../../base/format";
import type { Alert, Health } from "./facts";

/** `going` tells whether the run still does; if not, they had not cleared at its end. */
export function ActiveAlerts({ alerts, going }: { alerts: Alert[]; going: boolean }) {
  if (alerts.length === 0) return null;
  return (
    <section aria-labelledby="active-alerts">
      <h2 id="active-alerts">{going ? "Active alerts" : "Alerts that had not cleared at the end"}</h2>
      <ul class={`alerts ${going ? "going" : ""}`}>
        {alerts.map((alert) => (
          <li key={`${alert.title} ${alert.since_step}`}>
            <strong>{alert.title}</strong>
            <p>{alert.sentence}</p>
            <small>
              {alert.phase === "val" ? "validation, " : ""}since step {number(alert.since_step)} (
              {moment(alert.since_at)}), last seen at step {number(alert.last_step)}
              {alert.peak !== null && <>; worst value {number(alert.peak)}</>}
            </small>
          </li>
        ))}
      </ul>
    </section>
  );
}

export function ClearedAlerts({ alerts }: { alerts: Health["alerts"] }) {
  const { cleared, active, fired } = alerts;
  return (
    <section aria-labelledby="past-alerts">
      <h2 id="past-alerts">Alerts that have cleared</h2>
      {cleared.length === 0 ? (
        <p class="means">{fired === 0 ? "No alert has fired in this run." : "None."}</p>
      ) : (
        <div class="scrolled">
          <table class="cleared">
            <thead>
              <tr>
                <th>Alert</th>
                <th class="number">From step</th>
                <th class="number">To step</th>
                <th class="number">For</th>
                <th class="number">Worst</th>
                <th>What it saw</th>
              </tr>
            </thead>
            <tbody>
              {cleared.map((alert) => (
                <tr key={`${alert.title} ${alert.since_step}`}>
                  <th scope="row">{alert.title}</th>
                  <td class="number">{number(alert.since_step)}</td>
                  <td class="number">{number(alert.last_step)}</td>
                  <td class="number">{duration(alert.last_at - alert.since_at)}</td>
                  <td class="number">{number(alert.peak)}</td>
                  <td class="sentence">{alert.sentence}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {fired > cleared.length + active.length && (
        <p class="means">
          {count(fired - cleared.length - active.length, "earlier one")} not shown: the run's report
          lists them.
        </p>
      )}
    </section>
  );
}
