// Every key, for who works with the keyboard.
import { Dialog } from "./dialog";

const KEYS: [string, [string, string][]][] = [
  [
    "Draw",
    [
      ["P", "Polygon: corner by corner"],
      ["F", "Freehand: press, draw, let go"],
      ["O", "Point"],
      ["Enter", "End the polygon (or double-click)"],
      ["Tab, arrows", "With the tile in focus: move a cross (Shift: finely); Enter sets a corner, a second one ends"],
      ["Backspace", "Take the polygon's last corner back"],
      ["Escape", "Give up what is being drawn; deselect"],
    ],
  ],
  [
    "Change",
    [
      ["V", "Select (Shift+click adds to it)"],
      ["E", "Edit corners: drag; Alt+click or Delete removes one"],
      ["M", "Move a whole mark"],
      ["U", "Union: of the selected marks, or with what you draw"],
      ["S", "Subtract from the first selected mark"],
      ["Delete", "Delete what is selected"],
      ["Ctrl+Z", "Undo"],
      ["Ctrl+Shift+Z", "Redo"],
      ["1 … 9", "Class: of the next mark, or of the selected ones"],
    ],
  ],
  [
    "Look",
    [
      ["Wheel, + −", "Zoom (or pinch)"],
      ["0", "Show all of the tile"],
      ["Space+drag", "Move the tile (or the middle button)"],
      ["L", "Labels on marks"],
      ["A", "Attention on and off; held down: while it is held"],
    ],
  ],
  [
    "Tiles",
    [
      ["N or →", "Next tile"],
      ["B or ←", "Tile before"],
      ["Shift+N", "Next open tile"],
      ["?", "This list"],
    ],
  ],
];

export function Help({ close }: { close: () => void }) {
  return (
    <Dialog title="Keys" close={close}>
      <div class="keys">
        {KEYS.map(([part, keys]) => (
          <section key={part}>
            <h3>{part}</h3>
            <dl>
              {keys.map(([key, does]) => (
                <div key={key}>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{does}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <p>
        <small>
          Everything you do is saved at once, under your name. Nobody sees it in their own marks
          unless they ask for others'.
        </small>
      </p>
    </Dialog>
  );
}
