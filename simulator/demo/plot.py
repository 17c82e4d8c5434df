"""The demo's picture: rate over time through 40 GB, as SVG and PNG."""

from __future__ import annotations

from pathlib import Path

LIMIT_KBPS = 512


def draw(series: list[tuple[float, float, float]], events: list[tuple[float, str]], out: Path) -> list[Path]:
    """Write rate.svg and rate.png; `series` is (second, down bit/s, up bit/s), `events` is (second, text)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(11, 4.6), constrained_layout=True)
    seconds = [row[0] for row in series]
    axes.plot(seconds, [row[1] / 1000 for row in series], color="#1f6fb4", linewidth=1.3, label="down")
    axes.plot(seconds, [row[2] / 1000 for row in series], color="#d1662a", linewidth=1.3, label="up")
    axes.axhline(LIMIT_KBPS, color="#555555", linewidth=0.8, linestyle=(0, (4, 3)), label="512 kbit/s")
    axes.set_yscale("symlog", linthresh=100)
    ticks = [0, 100, 256, 512, 1000, 2000, 5000]
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set_ylim(0, 14_000)
    axes.set_xlim(0, seconds[-1] if seconds else 1)
    axes.set_xlabel("seconds")
    axes.set_ylabel("link rate, kbit/s")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    for second, text in events:
        axes.axvline(second, color="#999999", linewidth=0.7)
        axes.text(second, 13_000, text + " ", rotation=90, va="top", ha="right", fontsize=7.5, color="#333333")
    axes.legend(loc="upper left", ncols=3, frameon=False, bbox_to_anchor=(0, 1.1))
    paths = [out / "rate.svg", out / "rate.png"]
    for path in paths:
        figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return paths
