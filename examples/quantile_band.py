"""
A quantile band, and how much it covers
=======================================

One network predicts the 5 %, 50 % and 95 % quantiles of house values in California. With
``loss="quantile"`` and several levels the predictions are columns that never cross. Nine of ten
new districts should lie between the outer two, which is checked on the test districts. It
prints::

    level 0.05: 0.059 of the test values below it
    level 0.50: 0.471 of the test values below it
    level 0.95: 0.945 of the test values below it
    between the outer two: 0.885, wanted 0.90
    columns that cross: 0
    explained pinball loss (score): 0.550

and draws

.. image:: /images/quantile_band.png
   :alt: True values and the band over the test districts; the width of the band by the median.

The data comes from the folder that the environment variable ``SKLEARN_MLP_DATA`` names, or else
from OpenML. Run it with ``python examples/quantile_band.py``.
"""

# %%
# Fit, and count
# --------------
# House values are some hundred thousand dollars: ``scale_target`` standardises them internally.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import load_housing

from sklearn_mlp import TorchMLPRegressor

LEVELS = [0.05, 0.5, 0.95]
X, y = load_housing()
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
covered = ((quantiles[:, 0] <= y_test) & (y_test <= quantiles[:, 2])).mean()
print(f"between the outer two: {covered:.3f}, wanted {LEVELS[2] - LEVELS[0]:.2f}")
print(f"columns that cross: {(np.diff(quantiles, axis=1) < 0).sum()}")
print(f"explained pinball loss (score): {model.score(X_test, y_test):.3f}")

# %%
# The band
# --------
# Values above 500,000 dollars are recorded as that: the red line.

order = np.argsort(quantiles[:, 1])
low, median, high = quantiles[order].T / 1000
ranks = np.arange(len(order))

figure, (panel, widths) = plt.subplots(
    1, 2, figsize=(11, 4.4), layout="constrained", width_ratios=(3, 2)
)
panel.fill_between(ranks, low, high, color="#9ecae1", label="5 % to 95 %", linewidth=0)
panel.plot(
    ranks,
    y_test[order] / 1000,
    ".",
    color="#a50f15",
    alpha=0.5,
    markersize=1.5,
    label="true value",
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
plt.show()
# sphinx_gallery_thumbnail_path = 'images/quantile_band.png'
