// What stands where there is no run yet: how to start one.
import { useRef, useState } from "preact/hooks";

export function Start({ outputDir }: { outputDir: string }) {
  return (
    <section class="start">
      <h2>No runs here yet</h2>
      <p>
        This page shows the runs in <code>{outputDir}</code>. Start one:
      </p>
      <Command text={`python -m trainer --output-dir ${quoted(outputDir)}`} />
      <p>
        or put a recording through the analysis:
      </p>
      <Command
        text={`python -m analyzer_service replay RECORDING.mcap --output-dir ${quoted(outputDir)}`}
      />
      <p class="waits" role="status">
        The list notices a run by itself, within 2 seconds of its first record.
      </p>
    </section>
  );
}

function Command({ text }: { text: string }) {
  const code = useRef<HTMLElement>(null);
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    getSelection()?.selectAllChildren(code.current!);
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      // Not over plain HTTP from another machine: the text stands selected, to be copied by hand.
    }
  };
  return (
    <div class="command">
      <pre>
        <code ref={code}>{text}</code>
      </pre>
      <button onClick={() => void copy()}>{copied ? "Copied" : "Copy"}</button>
    </div>
  );
}

/** A path as a shell takes it. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
