"""The plot of a shaping run: rate and ping over time, one row of panels a contestant."""

from __future__ import annotations

from pathlib import Path

from tests.bench.shaping_load import Track

STEP_S = 0.5


def draw(tracks: dict[str, Track], path: Path, title: str) -> None:
    """PNG with the rates of both directions at the left and the ping at the right."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(tracks), 2, figsize=(11, 2.1 * len(tracks)), squeeze=False, sharex=True)
    for (left, right), (name, track) in zip(axes, tracks.items(), strict=True):
        for points, label in ((track.down, "download"), (track.up, "upload")):
            rates = _rates(points)
            left.step([at for at, _ in rates], [rate for _, rate in rates], where="post", label=label)
        left.axhline(512, color="grey", linewidth=0.8, linestyle=":")
        left.set_ylim(0, 1100)
        left.set_ylabel("kbit/s")
        left.set_title(name, fontsize=9, loc="left")
        right.plot([at for at, _ in track.pings], [ms for _, ms in track.pings], ".", markersize=3, color="C3")
        right.set_visible(bool(track.pings))
        right.set_yscale("log")
        right.set_ylim(0.5, 20_000)
        right.set_ylabel("ping, ms")
        right.axhline(75, color="grey", linewidth=0.8, linestyle=":")
    axes[0][0].legend(fontsize=7, loc="upper right")
    for axis in axes[-1]:
        axis.set_xlabel("seconds")
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _rates(points: list[tuple[float, int]]) -> list[tuple[float, float]]:
    """kbit/s in steps of half a second."""
    rates, (begun, had) = [], points[0]
    for at, octets in points:
        if at - begun >= STEP_S:
            rates.append((begun, (octets - had) * 8 / (at - begun) / 1000))
            begun, had = at, octets
    return rates
