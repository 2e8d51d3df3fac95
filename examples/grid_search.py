"""
A grid search over a Pipeline
=============================

scikit-learn's `sklearn.model_selection.GridSearchCV` over a Pipeline that ends in a
:class:`~sklearn_mlp.TorchMLPClassifier`: which width, which penalty? All parameters are flat, so
the grid reaches each of them by its name.
"""

# %%
# The data are the 1,797 small images of digits that come with scikit-learn.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_mlp import TorchMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

mlp = TorchMLPClassifier(learning_rate_init=0.01, tol=1e-3, max_iter=300, random_state=0)
pipeline = Pipeline([("scale", MinMaxScaler()), ("mlp", mlp)])
widths = [(10,), (30,), (100,)]
penalties = [1e-4, 1e-2, 1.0, 10.0]
grid = {"mlp__hidden_layer_sizes": widths, "mlp__alpha": penalties}
search = GridSearchCV(pipeline, grid, cv=3).fit(X_train, y_train)

print(search.best_params_)
print(f"accuracy in cross-validation {search.best_score_:.3f}")
print(f"accuracy on the test images  {search.score(X_test, y_test):.3f}")

# %%
# The whole grid
# --------------
# A row per width and a column per penalty. ``cv_results_`` has the candidates in the order of the
# grid, with the last name in alphabetical order changing fastest.

scores = search.cv_results_["mean_test_score"].reshape(4, 3).T

figure, panel = plt.subplots(figsize=(6, 3.5), layout="constrained")
image = panel.imshow(scores, cmap="viridis", aspect="auto")
panel.set_xticks(range(4), [f"{alpha:g}" for alpha in penalties])
panel.set_yticks(range(3), [str(width) for (width,) in widths])
panel.set(xlabel="alpha", ylabel="hidden units", title="accuracy in cross-validation")
threshold = (scores.min() + scores.max()) / 2
for row in range(3):
    for column in range(4):
        color = "white" if scores[row, column] < threshold else "black"
        panel.text(
            column, row, f"{scores[row, column]:.3f}", ha="center", va="center", color=color
        )
figure.colorbar(image)
plt.show()
