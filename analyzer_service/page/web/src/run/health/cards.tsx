// The current facts at a glance, a card each; one that something is wrong with stands out.
import type { ComponentChildren } from "preact";

import { bytes, count, moment, number } from "../../base/format";
import type { Health, Line, Part, WorkerFacts } from "./facts";

export function Cards({ health, line }: { health: Health; line: Line }) {
  const props = { health, line };
  return (
    <section aria-label={health.live ? "Now" : "Last noted"}>
      {!health.live && (
        <p class="as-of">
          As it was noted last, {moment(line.at)}
          {line.event === "end" && ", as the run ended"}
          {line.event === "stop" && ", as the analyzer was stopped"}.
        </p>
      )}
      <dl class="cards">
        <Trainer {...props} />
        <Lag {...props} />
        <Waiting {...props} />
        <Workers {...props} />
        <Memory {...props} />
        <Disk {...props} />
        <Wandb {...props} />
      </dl>
    </section>
  );
}

interface Props {
  health: Health;
  line: Line;
}

function Trainer({ health, line }: Props) {
  const known = (line.producers?.length ?? 0) + (line.producers_left_out ?? 0);
  const heard = line.heard_at == null ? null : Math.max(0, health.now - line.heard_at);
  return (
    <Card title="Trainer" parts={["trainer"]} health={health} value={connection(health, line, known)}>
      {health.live && heard !== null && <>heard {seconds(heard)} ago</>}
      {line.trainer_waiting_bytes != null && (
        <>
          {bytes(line.trainer_waiting_bytes)} wait in its memory
          {line.trainer_records_pending ? `, ${count(line.trainer_records_pending, "record")} unacknowledged` : ""}
        </>
      )}
    </Card>
  );
}

function connection({ status }: Health, line: Line, known: number): string {
  if (status !== "running" && !line.connected) return "ended";
  if (known === 1) return line.connected ? "connected" : "not connected";
  return `${line.connected ?? 0} of ${known} connected`;
}

function Lag({ health, line }: Props) {
  return (
    <Card title="Lag" parts={["lag", "loop"]} health={health} value={seconds(line.ingest_lag_s)}>
      <>from the trainer to here</>
      <>{seconds(line.work_lag_s)} the oldest frame at work</>
    </Card>
  );
}

function Waiting({ health, line }: Props) {
  return (
    <Card title="Waiting" parts={[]} health={health} value={count(line.frames_waiting ?? 0, "frame")}>
      <>{bytes(line.waiting_bytes)} not committed</>
      <>{count(line.records_uncommitted ?? 0, "record")} until the next commit</>
    </Card>
  );
}

function Workers({ health, line }: Props) {
  const { workers } = line;
  return (
    <Card
      title="Workers"
      parts={["workers"]}
      health={health}
      value={workers ? `${workers.busy} of ${workers.processes} busy` : "–"}
    >
      {workers && <>{count(workers.size, "frame")} at a time, {count(workers.calls, "call")} in hand</>}
      {workers && <>{workers.lost ? `${number(workers.lost)} lost and replaced` : "none lost"}</>}
      {workers?.cluster_slots !== undefined && <>{ofTheCluster(workers)}</>}
      {workers?.brought_back ? <>{count(workers.brought_back, "frame")} brought back from it</> : null}
    </Card>
  );
}

function ofTheCluster({ cluster_lost, cluster_slots = 0, cluster_calls = 0 }: WorkerFacts): string {
  if (cluster_lost) return "the cluster is lost";
  return `cluster: ${count(cluster_slots, "thread")}, ${count(cluster_calls, "frame")} analyzed`;
}

function Memory({ health, line }: Props) {
  const known = [line.rss_bytes, line.children_rss_bytes].filter((each) => each != null);
  const mb = health.trainer_memory.mb.at(-1);
  return (
    <Card
      title="Memory"
      parts={[]}
      health={health}
      value={known.length ? bytes(known.reduce((sum, each) => sum! + each!, 0)) : "–"}
    >
      <>
        analyzer {bytes(line.rss_bytes)}, its processes {bytes(line.children_rss_bytes)}
      </>
      {mb !== undefined && <>trainer {bytes(mb * 2 ** 20)}</>}
    </Card>
  );
}

function Disk({ health, line }: Props) {
  return (
    <Card title="Disk" parts={["disk"]} health={health} value={bytes(line.free_bytes)}>
      <>free where the run is</>
      <>database {bytes(line.database_bytes)}</>
      <>kept frames {bytes(line.frames_bytes)}</>
    </Card>
  );
}

const WANDB: Record<string, string> = {
  online: "online",
  offline: "offline",
  disabled: "off",
  given_up: "given up",
};

function Wandb({ health, line }: Props) {
  const { wandb } = line;
  if (!wandb) return null;
  return (
    <Card title="W&B" parts={["wandb"]} health={health} value={WANDB[wandb.state] ?? wandb.state}>
      {wandb.state !== "disabled" && (
        <>
          {count(wandb.rows, "row")}, {count(wandb.images, "dashboard")}
        </>
      )}
    </Card>
  );
}

interface CardProps {
  title: string;
  value: string;
  /** Which findings are about it. */
  parts: Part[];
  health: Health;
  children: ComponentChildren;
}

function Card({ title, value, parts, health, children }: CardProps) {
  const levels = health.findings.filter(({ part }) => parts.includes(part)).map(({ level }) => level);
  const level = levels.includes("bad") ? "bad" : (levels[0] ?? "");
  const lines = [children].flat().filter(Boolean);
  return (
    <div class={`card ${level}`}>
      <dt>
        {title}
        {level && <span class="visually-hidden"> (something is wrong)</span>}
      </dt>
      <dd class="value">{value}</dd>
      {lines.map((line, place) => (
        <dd key={place}>{line}</dd>
      ))}
    </div>
  );
}

export function seconds(value: number | null | undefined): string {
  if (value == null) return "–";
  if (value > 0 && value < 1) return `${Math.max(1, Math.round(value * 1000))} ms`;
  return value < 120 ? `${number(value, 2)} s` : `${Math.round(value / 60)} min`;
}
