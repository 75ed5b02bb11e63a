// How far a run has come: its epoch, its share, and a bar of it.

/** As on dashboards: epochs are numbered from 0, so what people count is said beside it. */
export function epochs({ epoch, max_epochs: most }: { epoch: number | null; max_epochs: number | null }): string {
  if (epoch === null) return "";
  return most === null ? `epoch ${epoch}` : `epoch ${epoch} (${epoch + 1} of ${most})`;
}

export function percent(share: number | null): string {
  return `${Math.floor((share ?? 0) * 100)} %`;
}

/** Nothing where the run did not say how long it is to be. */
export function Progress({ share, name }: { share: number | null; name: string }) {
  if (share === null) return null;
  return (
    <div
      class="progress"
      role="progressbar"
      aria-label={name}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.floor(share * 100)}
    >
      <span style={{ width: `${share * 100}%` }} />
    </div>
  );
}
