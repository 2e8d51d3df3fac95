"""
A grid search, one fit after the other and all at once
======================================================

Which width, which penalty, which learning rate? First scikit-learn's
`sklearn.model_selection.GridSearchCV` over a Pipeline that ends in a
:class:`~sklearn_mlp.TorchMLPClassifier`; then
:class:`~sklearn_mlp.BatchedGridSearchCV`, which trains all candidates and folds together, to the
same scores.
"""

# %%
# The grid
# --------
# The data are the 1,797 small images of digits that come with scikit-learn. All parameters are
# flat, so the grid reaches each by its name. Every candidate trains for exactly 30 epochs, with
# ``tol=0`` and no patience; the warning about this is ignored.

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_mlp import BatchedGridSearchCV, TorchMLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

mlp = TorchMLPClassifier(max_iter=30, tol=0, n_iter_no_change=np.inf, random_state=0)
pipeline = Pipeline([("scale", MinMaxScaler()), ("mlp", mlp)])
penalties = [1e-4, 1e-2, 1.0]
widths = [(10,), (30,), (100,)]
rates = [0.001, 0.003, 0.01, 0.03]
grid = {
    "mlp__alpha": penalties,
    "mlp__hidden_layer_sizes": widths,
    "mlp__learning_rate_init": rates,
}

# %%
# One by one, and all at once
# ---------------------------

searches = {}
for search in (GridSearchCV(pipeline, grid, cv=5), BatchedGridSearchCV(pipeline, grid, cv=5)):
    start = time.perf_counter()
    search.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    searches[type(search).__name__] = search
    print(f"{type(search).__name__:<20} {seconds:5.1f} s, best score {search.best_score_:.4f}")

batched = searches["BatchedGridSearchCV"]
apart = np.abs(
    batched.cv_results_["mean_test_score"]
    - searches["GridSearchCV"].cv_results_["mean_test_score"]
)
print(f"largest difference of a candidate's mean score: {apart.max():.4f}")
print(f"best: {batched.best_params_}")
print(f"accuracy on the test images {batched.score(X_test, y_test):.3f}")

# %%
# The whole grid
# --------------
# One panel per penalty. ``cv_results_`` lists the candidates in the order of the grid, the last
# name changing fastest.

scores = batched.cv_results_["mean_test_score"].reshape(3, len(widths), len(rates))

figure, panels = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True, layout="constrained")
for panel, alpha, table in zip(panels, penalties, scores, strict=True):
    image = panel.imshow(table, cmap="viridis", aspect="auto", vmin=scores.min(), vmax=1)
    panel.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    panel.set_yticks(range(len(widths)), [str(width) for (width,) in widths])
    panel.set(xlabel="learning_rate_init", title=f"alpha={alpha:g}")
    for row, column in np.ndindex(table.shape):
        score = table[row, column]
        color = "white" if score < (scores.min() + 1) / 2 else "black"
        panel.text(column, row, f"{score:.2f}", ha="center", va="center", color=color)
panels[0].set_ylabel("hidden units")
figure.colorbar(image, label="accuracy in cross-validation")
plt.show()
