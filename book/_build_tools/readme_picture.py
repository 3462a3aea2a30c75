"""Draw the picture of the README: `python book/_build_tools/readme_picture.py`.

It trains the model of the README's six lines, unless a chapter has done so already, and writes
book/assets/readme.png.
"""

import io
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from crbm_lite import CRBM, cached_fit, simulate_recording, split_train_test, validate
from crbm_lite.plotting.figures import brain_scatter, raster, score_density

PICTURE = Path(__file__).resolve().parents[1] / "assets" / "readme.png"
SECONDS = 120  # of held-out spikes
COLOURS = 64  # enough for few hues, and a third of the file


def draw() -> plt.Figure:
    """Draw held-out spikes, the three largest assemblies, and the check of the pairs of neurons."""
    recording = simulate_recording(random_state=0)
    train, test = split_train_test(recording)
    model = CRBM(random_state=0, progress=False)
    model = cached_fit(model, train)
    report = validate(model, train, test, random_state=0)
    sizes = (model.weights_ > 0.1).sum(axis=0)
    largest = np.argsort(sizes)[::-1][:3]

    widths = [3.4, 1.5, 1.5, 1.5, 2.6]
    fig, axes = plt.subplots(1, 5, figsize=(12, 3.6), width_ratios=widths, layout="constrained")
    by_unit = np.argsort(model.weights_.argmax(axis=1), kind="stable")
    raster(test.spikes[: int(SECONDS * test.rate_hz)], test.rate_hz, axes[0], order=by_unit)
    axes[0].set_title("spikes of 2,000 neurons")
    for ax, unit in zip(axes[1:4], largest, strict=True):
        brain_scatter(recording.coordinates, model.weights_[:, unit], ax)
        fig.axes[-1].remove()  # one colour bar per panel is too many
        ax.set_title(f"assembly of {sizes[unit]}")
        ax.set(xticks=[0, 300], yticks=[0, 400, 800], ylabel="")
    axes[1].set_ylabel("y (µm)")
    score_density(report.vv, "vv", axes[4])
    return fig


def main() -> int:
    stored = io.BytesIO()
    draw().savefig(stored, dpi=130, facecolor="white")
    picture = Image.open(stored).convert("RGB").quantize(COLOURS)
    picture.save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
