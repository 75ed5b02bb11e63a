// The way back from the annotator to its run.

export function BackToRun({ run }: { run: string }) {
  return (
    <a href={`/runs/${encodeURIComponent(run)}`} title={`Back to ${run}`}>
      <span aria-hidden="true">← </span>
      <span class="visually-hidden">Back to </span>
      {run}
    </a>
  );
}
