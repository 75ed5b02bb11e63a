"""Six panels as one would draw them with matplotlib alone: what a dashboard is compared with."""

from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analyzer_service.figures.data import DashboardData
from analyzer_service.figures.panels.images import absolute_error
from analyzer_service.figures.sheet import HEIGHT, WIDTH

DPI = 100
TITLES = ("Original", "Reconstruction", "Error map", "Attention", "Training progress", "Summary")


def draw_plainly(data: DashboardData) -> bytes:
    """PNG of the same size: four images with color bars, loss and SSIM, the row as text."""
    assert data.frame is not None
    tile, made = data.frame.input[0], data.frame.reconstruction[0]
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3).ravel()
    axes[0].imshow(tile)
    axes[1].imshow(made)
    error = axes[2].imshow(absolute_error(tile, made), cmap="RdYlGn_r", vmin=0, vmax=0.25)
    figure.colorbar(error, ax=axes[2])
    axes[3].imshow(tile.mean(axis=2), cmap="gray")
    attention = axes[3].imshow(
        data.frame.attention["bam_384"][0],
        cmap="jet",
        alpha=0.6,
        extent=(-0.5, tile.shape[1] - 0.5, tile.shape[0] - 0.5, -0.5),
    )
    figure.colorbar(attention, ax=axes[3])
    second = axes[4].twinx()
    for panel, name in ((axes[4], "loss"), (second, "ssim")):
        for phase, columns in data.history.items():
            panel.plot(columns["global_step"], columns[name], label=phase)
        panel.set_ylabel(name)
    axes[4].legend()
    axes[5].axis("off")
    for index, (name, value) in enumerate(data.row.items()):
        axes[5].text(0.0, 1.0 - index / 32, f"{name}: {value:.4g}", fontsize=8)
    for panel, title in zip(axes, TITLES, strict=True):
        panel.set_title(title)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
