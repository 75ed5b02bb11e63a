// How long something is: in micrometers where the size of a pixel is known.

const LONGEST_PX = 150;
const STEPS = [5, 2, 1];

interface ScaleBarProps {
  /** Tile pixels a screen pixel. */
  resolution: number;
  /** Micrometers a tile pixel. */
  mpp: number | null;
}

export function ScaleBar({ resolution, mpp }: ScaleBarProps) {
  const unit = resolution * (mpp ?? 1);
  const length = rounded(LONGEST_PX * unit);
  const micrometers = length >= 1000 ? `${length / 1000} mm` : `${length} µm`;
  const words = mpp === null ? `${length} px` : micrometers;
  const zoom = 1 / resolution;
  return (
    <div class="scale-bar">
      <span class="ruler" style={{ width: `${length / unit}px` }} />
      <span>
        {words}
        {mpp === null && <small> (pixel size not known)</small>}
      </span>
      <span class="zoom">{zoom >= 10 ? zoom.toFixed(0) : zoom.toFixed(1)}×</span>
    </div>
  );
}

/** The longest of 1, 2, 5, 10, … that is not longer than `most`. */
function rounded(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most));
  const step = STEPS.find((each) => each * power <= most) ?? 1;
  return Number((step * power).toPrecision(1));
}
