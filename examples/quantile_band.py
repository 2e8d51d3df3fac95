"""
A quantile band, and how much it covers
=======================================

One network predicts the 5 %, 50 % and 95 % quantiles of house values in California.

With ``loss="quantile"`` and several levels the predictions are columns that never cross. Between
the outer two, nine of ten new districts should lie: this is measured on the test districts. Run it
with::

    python examples/quantile_band.py --data FOLDER

FOLDER holds ``california_housing/cal_housing.csv.gz``. Without it the data come from OpenML. The
picture goes to ``quantile_band.png``.
"""

import matplotlib as mpl
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import load_housing, parse_arguments

from sklearn_mlp import TorchMLPRegressor

mpl.use("Agg")  # the picture goes to a file; a machine without a display can draw it
import matplotlib.pyplot as plt

LEVELS = [0.05, 0.5, 0.95]


def draw(quantiles: np.ndarray, y: np.ndarray, covered: float, picture: str) -> None:
    """Draw the band over the test districts, in the order of their predicted medians."""
    order = np.argsort(quantiles[:, 1])
    low, median, high = quantiles[order].T / 1000
    values, ranks = y[order] / 1000, np.arange(len(y))
    figure, (panel, widths) = plt.subplots(
        1, 2, figsize=(11, 4.4), layout="constrained", width_ratios=(3, 2)
    )
    panel.fill_between(ranks, low, high, color="#9ecae1", label="5 % to 95 %", linewidth=0)
    panel.plot(
        ranks, values, ".", color="#a50f15", alpha=0.5, markersize=1.5, label="true value"
    )
    panel.plot(ranks, median, color="#08306b", label="median")
    panel.set(
        title=f"{covered:.1%} of the test districts lie in the band",
        xlabel="test districts, by predicted median",
        ylabel="house value, 1000 dollars",
    )
    panel.legend(loc="upper left", markerscale=6)
    widths.scatter(median, high - low, s=2, color="#08306b", alpha=0.3, linewidths=0)
    widths.set(
        title="How wide it is depends on the district",
        xlabel="predicted median, 1000 dollars",
        ylabel="width of the band, 1000 dollars",
    )
    figure.savefig(picture, dpi=120)


def main() -> None:
    """Train, measure the coverage, and draw the band."""
    options = parse_arguments("A quantile band on California housing.", "quantile_band.png")
    X, y = load_housing(options.data)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    model = make_pipeline(
        StandardScaler(),
        TorchMLPRegressor(
            "quantile",
            (64, 64),
            quantile=LEVELS,
            scale_target="standard",
            early_stopping=True,
            max_iter=300,
            random_state=0,
        ),
    ).fit(X_train, y_train)
    quantiles = model.predict(X_test)
    for level, predicted in zip(LEVELS, quantiles.T, strict=True):
        print(f"level {level:.2f}: {(y_test <= predicted).mean():.3f} of the test values below it")
    covered = float(((quantiles[:, 0] <= y_test) & (y_test <= quantiles[:, 2])).mean())
    print(f"between the outer two: {covered:.3f}, wanted {LEVELS[2] - LEVELS[0]:.2f}")
    print(f"columns that cross: {(np.diff(quantiles, axis=1) < 0).sum()}")
    print(f"explained pinball loss (score): {model.score(X_test, y_test):.3f}")
    draw(quantiles, y_test, covered, options.output)
    print(f"picture: {options.output}")


if __name__ == "__main__":
    main()
