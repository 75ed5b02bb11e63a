// Drawing without a pointer: arrow keys move a cross over the tile, Enter sets a corner there.
import type { TileMap } from "./tile_map";
import type { Tools } from "./tools";

const STRIDE_PX = 10;
const FINE_PX = 1;
const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export class Pen {
  private readonly cross = document.createElement("div");
  /** Where the cross is, in pixels of the screen; null: it was not called for. */
  private at: [number, number] | null = null;
  /** Whether the last corner was set here. */
  private settled = false;
  private byKeys = false;

  constructor(
    private readonly element: HTMLElement,
    private readonly canvas: TileMap,
    private readonly tools: Tools,
    private readonly say: (words: string) => void,
  ) {
    this.cross.className = "cross";
    this.cross.hidden = true;
    element.append(this.cross);
    element.addEventListener("focus", () => (this.byKeys = element.matches(":focus-visible")));
    element.addEventListener("blur", () => this.lift());
    element.addEventListener("pointerdown", () => {
      this.byKeys = false;
      this.lift();
    });
    element.addEventListener("keydown", (event) => {
      if (!this.pressed(event)) return;
      event.preventDefault();
      event.stopPropagation(); // else it means another tile, or the end of the polygon
    });
  }

  private pressed(event: KeyboardEvent): boolean {
    if (!this.byKeys || !this.tools.setsCorners || event.ctrlKey || event.metaKey || event.altKey) {
      return false;
    }
    const arrow = ARROWS[event.key];
    if (arrow) this.move(arrow, event.shiftKey ? FINE_PX : STRIDE_PX);
    else if (event.key === "Enter" && this.at) this.set(this.at);
    else return false;
    return true;
  }

  private move([dx, dy]: [number, number], stride: number): void {
    const { clientWidth: width, clientHeight: height } = this.element;
    const [x, y] = this.at ?? [width / 2, height / 2];
    const within = (value: number, most: number) => Math.min(most, Math.max(0, value));
    this.at = [within(x + dx * stride, width), within(y + dy * stride, height)];
    this.settled = false;
    this.cross.hidden = false;
    this.cross.style.transform = `translate(${this.at[0]}px, ${this.at[1]}px)`;
    this.say(`At ${this.place(this.at)}.`);
  }

  private set(at: [number, number]): void {
    if (this.settled && this.tools.drawing) {
      this.tools.finish();
      this.settled = false;
      return;
    }
    this.settled = true;
    this.say(`Corner at ${this.place(at)}; Enter again ends the polygon.`);
    this.tools.setCorner(at);
  }

  private place(at: [number, number]): string {
    const [x, y] = this.canvas.map.getCoordinateFromPixel(at);
    return `${Math.round(x!)}, ${Math.round(-y!)} px`;
  }

  private lift(): void {
    this.at = null;
    this.settled = false;
    this.cross.hidden = true;
  }
}
