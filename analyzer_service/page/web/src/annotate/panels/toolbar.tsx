// The tools, each with its picture, its name and its key.
import type { Bench } from "../state/bench";
import { toolName } from "../state/work";
import type { Tool } from "../state/desk";
import { useSignals } from "../state/signal";
import { Icon } from "./icons";

const TOOLS: [Tool, string][] = [
  ["select", "V"],
  ["polygon", "P"],
  ["freehand", "F"],
  ["point", "O"],
  ["edit", "E"],
  ["move", "M"],
  ["union", "U"],
  ["subtract", "S"],
];

export function Toolbar({ bench }: { bench: Bench }) {
  const { desk, session, work, attention } = bench;
  useSignals(desk.changes, session.changes, attention.changes);
  const { undoable, redoable } = session.history;
  return (
    <section class="tools" aria-label="Tools">
      <div class="group">
        {TOOLS.map(([tool, key]) => (
          <Tool
            key={tool}
            icon={tool}
            name={toolName(tool).replace(" corners", "")}
            hotkey={key}
            pressed={desk.tool === tool}
            act={() => work.take(tool)}
          />
        ))}
      </div>
      <div class="group familiar">
        <Tool
          icon="remove"
          name="Delete"
          hotkey="Delete"
          act={() => work.remove()}
          disabled={!work.selected.length}
        />
        <Tool
          icon="undo"
          name="Undo"
          hotkey="Ctrl+Z"
          more={undoable}
          act={() => work.undo()}
          disabled={!undoable}
        />
        <Tool
          icon="redo"
          name="Redo"
          hotkey="Ctrl+Shift+Z"
          more={redoable}
          act={() => work.redo()}
          disabled={!redoable}
        />
      </div>
      <div class="group icons-only">
        <Tool icon="farther" name="Out" hotkey="−" act={() => bench.easel?.canvas.zoom(-1)} />
        <Tool icon="fit" name="Fit" hotkey="0" act={() => bench.easel?.canvas.fit()} />
        <Tool icon="closer" name="In" hotkey="+" act={() => bench.easel?.canvas.zoom(1)} />
      </div>
      <div class="group">
        <Tool
          icon="labels"
          name="Labels"
          hotkey="L"
          pressed={desk.labels}
          act={() => desk.label(!desk.labels)}
        />
        <Tool
          icon="attention"
          name="Attention"
          hotkey="A"
          pressed={attention.visible}
          act={() => bench.toggleAttention()}
        />
        <Tool icon="help" name="Keys" hotkey="?" act={() => bench.ask("help")} />
      </div>
    </section>
  );
}

interface ToolProps {
  icon: string;
  name: string;
  hotkey: string;
  act: () => void;
  /** What exactly, where the name does not say. */
  more?: string | null;
  pressed?: boolean;
  disabled?: boolean;
}

function Tool({ icon, name, hotkey, act, more, pressed, disabled = false }: ToolProps) {
  return (
    <button
      class="tool"
      title={`${name}${more ? `: ${more}` : ""} (${hotkey})`}
      aria-pressed={pressed}
      aria-keyshortcuts={hotkey.replace("Ctrl", "Control").replace("−", "-")}
      disabled={disabled}
      onClick={act}
    >
      <Icon name={icon} />
      <span>{name}</span>
    </button>
  );
}
