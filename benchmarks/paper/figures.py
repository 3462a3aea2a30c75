"""The paper's figures from stored results: panels with its letters, drawn from what a fish has.

A panel names the step that it needs; where that step was not measured, it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtr

from benchmarks.retrace.compact import values_of_picture
from crbm_lite.plotting.style import (
    COLOR_DATA,
    COLOR_MODEL,
    PALETTE,
    diverging_colormap,
    sequential_colormap,
    style_context,
)

__all__ = ["figure_2", "figure_2_weights", "figure_3", "figure_4", "figure_5", "figure_6"]

Panel = tuple[str, str, Callable[[Axes, dict], None]]
_PAPER = PALETTE[1]
_GREY = "0.6"
_SYMBOLS = {
    "v": r"$\langle v_i \rangle$",
    "h": r"$\langle h_\mu \rangle$",
    "vh": r"$\langle v_i h_\mu \rangle$",
    "vv": r"cov$(v_i, v_j)$",
    "hh": r"cov$(h_\mu, h_\nu)$",
}
_NAMES = {"crbm": "cRBM", "crbm_few": "cRBM, few", "planted": "planted", "ising": "Ising"}


def _draw(found: dict, panels: Sequence[Panel], n_columns: int, height: float = 2.9) -> Figure:
    """Draw the panels in reading order."""
    n_rows = -(-len(panels) // n_columns)
    with style_context():
        size = (3.2 * n_columns, height * n_rows)
        fig, axes = plt.subplots(n_rows, n_columns, figsize=size, layout="constrained")
        for ax in axes.flat[len(panels) :]:
            ax.axis("off")
        for ax, (letter, step, draw) in zip(axes.flat, panels, strict=False):
            if step in found:
                draw(ax, found[step])
            else:
                ax.text(0.5, 0.5, "not measured", ha="center", transform=ax.transAxes)
                ax.axis("off")
            ax.set_title(f"{letter}  {ax.get_title(loc='left')}")
    return fig


def _stairs(ax: Axes, histogram: dict, label: str, color: str, **look: object) -> None:
    counts = np.array(histogram["counts"], dtype=float)
    edges = np.linspace(histogram["low"], histogram["high"], counts.size + 1)
    ax.stairs(counts / max(counts.sum(), 1), edges, label=label, color=color, **look)


def _cumulative(ax: Axes, quantiles: Sequence[float], label: str, color: str, **look) -> None:
    ax.plot(quantiles, np.linspace(0, 1, len(quantiles)), label=label, color=color, **look)


def _density(name: str, letter: str) -> Panel:
    def draw(ax: Axes, part: dict) -> None:
        score = part[name]
        density = score["density"]
        low, high = density["low"], density["high"]
        values = values_of_picture(density["rows"]).T.astype(float)
        image = np.ma.masked_equal(values, 0)
        extent = (low, high, low, high)
        ax.imshow(image, origin="lower", extent=extent, cmap=sequential_colormap(), aspect="equal")
        ax.plot([low, high], [low, high], color=COLOR_DATA, lw=0.8, ls="--")
        ax.set(xlabel=f"test data: {_SYMBOLS[name]}", ylabel=f"model: {_SYMBOLS[name]}")
        r, optimal = score["pearson_r"], score["pearson_r_optimal"]
        numbers = (
            f"r = {_text(r)} (training data {_text(optimal)})\nnRMSE = {_text(score['nrmse'])}"
        )
        ax.set_title(numbers.replace("-", "−"))

    return letter, "generation", draw


def _text(value: float | None) -> str:
    return "–" if value is None else f"{round(value, 2) + 0:.2f}".replace("-", "−")


def _nllh(ax: Axes, part: dict) -> None:
    for name, label, color in (
        ("crbm", "cRBM, reconstructed", PALETTE[0]),
        ("crbm_left_out", "cRBM, left out", PALETTE[2]),
        ("glm", "GLM", _GREY),
    ):
        _stairs(ax, part[f"{name}_histogram"], label, color, lw=1.5)
        ax.axvline(part[f"{name}_median"], ymax=0.65, color=color, ls=":")
    ax.set(xlabel="nLLH", ylabel="share of neurons", title="dotted: medians")
    ax.set_ylim(0, 1.5 * ax.get_ylim()[1])  # room for the legend
    ax.legend(loc="upper right")


def figure_2(found: dict) -> Figure:
    """Fig. 2C-H."""
    letters = dict(zip(_SYMBOLS, "CDEFG", strict=True))
    panels = [_density(name, letter) for name, letter in letters.items()]
    return _draw(found, [*panels, ("H", "glm", _nllh)], 3, 3.2)


def _tails(ax: Axes, part: dict) -> None:
    for name, label, color in (("crbm", "cRBM", PALETTE[0]), ("pca", "PCA", PALETTE[3])):
        ax.loglog(part[name]["tail"], part[name]["tail_shares"], color=color, label=label)
    ax.set(xlabel="|w| / sd(w)", ylabel="share of larger weights", xlim=(0.1, 50))
    ax.legend(loc="lower left")


def _strong(method: str, letter: str, color: str) -> Panel:
    def draw(ax: Axes, part: dict) -> None:
        for name, look in (("strong", "o-"), ("strong_of_shuffle", ":")):
            label = "shuffled" if "shuffle" in name else "as trained"
            ax.plot(part[method][name], look, color=color, label=label)
        ax.set(xlabel="strong weights of a neuron", ylabel="share of neurons")
        ax.set_title("cRBM" if method == "crbm" else "PCA")
        ax.legend(loc="upper right")

    return letter, "pca", draw


def _regions(ax: Axes, part: dict) -> None:
    for name, label, color in (("crbm", "cRBM", PALETTE[0]), ("pca", "PCA", PALETTE[3])):
        _cumulative(ax, part[name]["regions"], label, color)
    ax.set(xlabel="regions, by the mean of |w|", ylabel="share of units or components")
    ax.legend(loc="lower right")


def _path(ax: Axes, part: dict) -> None:
    path = part["path"]
    start, refit = np.array(path["start"]), np.array(path["is_refit"], dtype=bool)
    l1, gain = np.array(path["l1"], dtype=float), np.array(path["gain"], dtype=float)
    for color, name in zip(PALETTE, dict.fromkeys(path["start"]), strict=False):
        mine = (start == name) & ~refit
        ax.semilogx(l1[mine], gain[mine], "o", color=color, label=name)
        ax.semilogx(l1[(start == name) & refit], gain[(start == name) & refit], "x", color=color)
    ax.axvline(part["l1"], color=COLOR_DATA, ls=":", lw=0.8)
    ax.set(xlabel="lambda", ylabel="gain (nats a frame)", ylim=(0, None))
    ax.set_title("crosses: refits; dotted: chosen")
    ax.legend(loc="lower left", fontsize=7)


def _embedding(ax: Axes, part: dict) -> None:
    x = np.maximum(part["thresholds"], 3e-4)
    ax.semilogx(x, part["embedding"], "o-", color=PALETTE[0], label="one or more")
    ax.semilogx(x, part["in_several"], "o-", color=PALETTE[5], label="two or more")
    ax.axhline(0.935, color=_PAPER, ls=":", label="paper")
    ax.set(xlabel="threshold of |w| (leftmost: none)", ylabel="neurons in assemblies", ylim=(0, 1))
    ax.legend(loc="lower left")


def figure_2_weights(found: dict) -> Figure:
    """Fig. 2I-K with 2-S1, 2-S4 and 2-S6."""
    panels = [
        ("I", "pca", _tails),
        _strong("crbm", "J", PALETTE[0]),
        _strong("pca", "K", PALETTE[3]),
        ("2-S1", "training", _path),
        ("2-S4", "assemblies", _embedding),
        ("2-S6", "pca", _regions),
    ]
    return _draw(found, panels, 3)


def _colored(ax: Axes, part: dict) -> None:
    drawn = part["drawn"]
    unit = np.array(drawn["unit"])
    x, y = np.array(drawn["x_um"]), np.array(drawn["y_um"])
    ax.scatter(x[unit < 0], y[unit < 0], s=3, color="0.85")
    order = np.random.default_rng(0).permutation(max(unit.max() + 1, 1))
    ax.scatter(x[unit >= 0], y[unit >= 0], s=5, c=order[unit[unit >= 0]], cmap="turbo")
    ax.set(aspect="equal", xlabel="x (µm), left to right", ylabel="y (µm), tail to nose")


def _mirror(place: int) -> Callable[[Axes, dict], None]:
    def draw(ax: Axes, part: dict) -> None:
        _brain(ax, part)
        for side, color in zip(part["pairs_drawn"][place], PALETTE, strict=False):
            ax.scatter(side["x_um"], side["y_um"], s=6, color=color)
        ax.set_title(f"mirror pair, r = {part['pair_r'][place]:.2f}")

    return draw


def _unit(place: int) -> Callable[[Axes, dict], None]:
    def draw(ax: Axes, part: dict) -> None:
        _brain(ax, part)
        unit = np.array(part["drawn"]["unit"])
        n_neurons = np.bincount(unit[unit >= 0], minlength=place + 1)
        largest = np.argsort(-n_neurons, kind="stable")[place]
        x, y = (np.array(part["drawn"][name])[unit == largest] for name in ("x_um", "y_um"))
        ax.scatter(x, y, s=6, color=PALETTE[0])
        ax.set_title(f"{len(x)} neurons of one unit")

    return draw


def _brain(ax: Axes, part: dict) -> None:
    ax.scatter(part["drawn"]["x_um"], part["drawn"]["y_um"], s=1, color="0.88")
    ax.set(aspect="equal", xlabel="x (µm)", ylabel="y (µm)")


def figure_3(found: dict) -> Figure:
    """Fig. 1C and 3: up to three mirror pairs, and single units in the place of those not found."""
    n_pairs = min(len(found.get("assemblies", {}).get("pairs_drawn", [])), 3)
    pairs = [(f"3{'ABC'[k]}", "assemblies", _mirror(k)) for k in range(n_pairs)]
    single = [("3", "assemblies", _unit(k)) for k in range(3 - n_pairs)]
    return _draw(found, [("1C", "assemblies", _colored), *pairs, *single], 2, 4.4)


def _raster(ax: Axes, part: dict) -> None:
    image = values_of_picture(part["activity"])
    extent = (0, part["shown_s"], len(image), 0)
    ax.imshow(image, aspect="auto", cmap=diverging_colormap(), vmin=0, vmax=9, extent=extent)
    ax.set(xlabel="time (s)", ylabel="hidden units, Ward order", title="activity, −2 to 2 s.d.")
    ax.set(yticks=[])


def _correlations(ax: Axes, part: dict) -> None:
    image = values_of_picture(part["correlation"])
    ax.imshow(image, cmap=diverging_colormap(), vmin=0, vmax=9)
    ax.set(xlabel="hidden units", ylabel="hidden units", title="correlation, −1 to 1")
    ax.set(xticks=[], yticks=[])


def _variance(ax: Axes, part: dict) -> None:
    shares = part["variance"]
    ax.plot(np.arange(1, len(shares) + 1), shares, color=COLOR_MODEL, label="hidden units")
    ax.plot([3, 10, 25], [0.52, 0.73, 0.85], "o", color=_PAPER, label="paper")
    ax.set(xlabel="principal components", ylabel="share of variance", ylim=(0, 1))
    ax.legend(loc="lower right")


def _peaks(ax: Axes, part: dict) -> None:
    _stairs(ax, part["density"], "", COLOR_MODEL)
    ax.axvline(0, color=COLOR_DATA, lw=0.8, ls="--")
    ax.set(xlabel="activity from the transition point (s.d.)", ylabel="share")


def _periods(ax: Axes, part: dict) -> None:
    _cumulative(ax, part["units_s_quantiles"], "hidden units", COLOR_MODEL)
    _cumulative(ax, part["neurons_s_quantiles"], "neurons", COLOR_DATA)
    ax.set(xscale="log", xlabel="time constant (s)", ylabel="share below")
    ax.legend(loc="lower right")


def _active(ax: Axes, part: dict) -> None:
    _stairs(ax, part["m_over_m_histogram"], "", COLOR_MODEL)
    ax.axvline(part["m_over_m"], color=COLOR_MODEL, ls=":", label="median")
    ax.axvline(0.26, color=_PAPER, ls=":", label="paper")
    ax.axvline(1 / 3, color=_GREY, lw=0.8, label="noise")
    ax.set(xlabel="m / M", ylabel="share of frames")
    ax.legend(loc="upper right")


def figure_4(found: dict) -> Figure:
    """Fig. 4A-F with 2-S3; panel B, single traces, is left out."""
    drawn = (
        ("A", _raster), ("C", _correlations), ("D", _variance),
        ("E", _peaks), ("F", _periods), ("2-S3", _active),
    )  # fmt: skip
    return _draw(found, [(letter, "dynamics", draw) for letter, draw in drawn], 3)


def _equations(ax: Axes, part: dict) -> None:
    eq17 = part["eq17"]
    ax.plot(eq17["exact"], eq17["approximate"], ".", color=COLOR_MODEL, ms=3)
    ax.axline((0, 0), slope=1, color=COLOR_DATA, lw=0.8, ls="--")
    ax.set(xlabel="coupling, Eq. 16", ylabel="coupling, Eq. 17", title=f"r = {eq17['r']:.2f}")


def _log_couplings(ax: Axes, part: dict) -> None:
    _cumulative(ax, part["log10"], "regions", COLOR_MODEL)
    logs = np.array(part["log10"])
    mean, sd = logs.mean(), logs.std()
    x = np.linspace(logs[0], logs[-1], 100)
    ax.plot(x, ndtr((x - mean) / sd), color=COLOR_DATA, ls="--", lw=0.8, label="log-normal")
    ax.set(xlabel="log10 |J| of two regions", ylabel="share below")
    ax.legend(loc="lower right")


def _two_fish(ax: Axes, part: dict) -> None:
    both = part["two_fish"]
    ax.plot(both["log10_first"], both["log10_second"], ".", color=COLOR_MODEL, ms=3)
    first, second = (name.partition(",")[0] for name in part["fish"][:2])
    r = part["of"]["crbm"]["conserved_r"][0][1]
    ax.set(xlabel=f"log10 |J|, {first}", ylabel=f"log10 |J|, {second}", title=f"r = {_text(r)}")


def _alike(ax: Axes, part: dict) -> None:
    r = np.array(part["of"]["crbm"]["conserved_r"], dtype=float)
    image = ax.imshow(r, vmin=0, vmax=1, cmap=sequential_colormap())
    names = [name.partition(",")[0].split()[-1] for name in part["fish"]]
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.figure.colorbar(image, ax=ax, label="r of log10 |J|")
    ax.set(xlabel="fish", ylabel="fish")


def figure_5(found: dict) -> Figure:
    """Eq. 17 against Eq. 16, and Fig. 5D-F."""
    panels = [
        ("Eq. 17", "connectivity", _equations),
        ("D", "connectivity", _log_couplings),
        ("E", "animals", _two_fish),
        ("F", "animals", _alike),
    ]
    return _draw(found, panels, 2)


def _structure(ax: Axes, part: dict) -> None:
    crbm = part["of"]["crbm"]
    ax.plot(crbm["log10_structure"], crbm["log10_function"], ".", color=COLOR_MODEL, ms=3)
    title = f"$r_S$ = {_text(crbm['structure_r_s_between'])}"
    ax.set(xlabel="log10 structure", ylabel="log10 |J|", title=title)


def _connected(ax: Axes, part: dict) -> None:
    crbm = part["of"]["crbm"]
    _stairs(ax, crbm["log10_connected"], "connected", COLOR_MODEL)
    _stairs(ax, crbm["log10_unconnected"], "not connected", _GREY)
    ax.set(xlabel="log10 |J|", ylabel="share of pairs")
    ax.legend(loc="upper left")


def _methods(ax: Axes, part: dict) -> None:
    of = part["of"]
    names = [_NAMES.get(name, name) for name in of]
    ax.barh(names, [x["structure_r_s_between"] or 0 for x in of.values()], color=COLOR_MODEL)
    paper = {"crbm": 0.39, "correlation": 0.26, "covariance": 0.18, "ising": 0.06}
    shown = [(r, _NAMES.get(name, name)) for name, r in paper.items() if name in of]
    ax.plot(*zip(*shown, strict=True), "o", color=_PAPER)
    ax.plot(0.30, _NAMES["crbm"], "o", color=_PAPER, mfc="none")  # without pairs within a region
    ax.axvline(0, color=COLOR_DATA, lw=0.8)
    ax.invert_yaxis()
    ax.set(xlabel="$r_S$ with structure, between regions", title="dots: the paper; ring: see text")


def figure_6(found: dict) -> Figure:
    """Fig. 6C, D and 6-S1."""
    panels = [
        ("C", "animals", _structure),
        ("D", "animals", _connected),
        ("6-S1", "animals", _methods),
    ]
    return _draw(found, panels, 3)
