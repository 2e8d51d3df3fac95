"""
Classes of unequal size: ``class_weight="balanced"``
====================================================

A quarter of the people in the adult data earn more than 50,000 dollars a year. Without weights a
network finds the more frequent class first; with ``class_weight="balanced"`` an error on either
class as a whole costs the same: more of the rare one is found, at the price of more false alarms.
It prints::

    0.239 of the test rows are >50K
    class_weight=None        accuracy 0.861   balanced 0.791   recall 0.658   precision 0.733
    class_weight='balanced'  accuracy 0.813   balanced 0.830   recall 0.863   precision 0.573

and draws

.. image:: /images/class_weights.png
   :alt: Four scores on the test rows, without weights and with balanced ones.

The data comes from the folder that the environment variable ``SKLEARN_MLP_DATA`` names, or else
from OpenML. Run it with ``python examples/class_weights.py``.
"""

# %%
# The data
# --------
# Numbers are scaled, and each category becomes a column; missing values are a category, too.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, balanced_accuracy_score, precision_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tables import load_adult

from sklearn_mlp import TorchMLPClassifier

RARE = ">50K"
X, y = load_adult()
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
print(f"{(y_test == RARE).mean():.3f} of the test rows are {RARE}")

categories = make_pipeline(
    SimpleImputer(strategy="constant", fill_value="unknown"),
    OneHotEncoder(handle_unknown="ignore", sparse_output=False),
)
columns = make_column_transformer(
    (StandardScaler(), make_column_selector(dtype_include="number")),
    (categories, make_column_selector(dtype_exclude="number")),
)

# %%
# Without weights, and with
# -------------------------
# The weights also count in the score for early stopping.

names = ["accuracy", "balanced\naccuracy", f"recall\nof {RARE}", f"precision\nof {RARE}"]
figure, panel = plt.subplots(figsize=(8, 4.2), layout="constrained")
for place, class_weight in enumerate((None, "balanced")):
    network = TorchMLPClassifier(
        (50,), class_weight=class_weight, early_stopping=True, n_iter_no_change=5, random_state=0
    )
    predictions = make_pipeline(columns, network).fit(X_train, y_train).predict(X_test)
    scores = [
        accuracy_score(y_test, predictions),
        balanced_accuracy_score(y_test, predictions),
        recall_score(y_test, predictions, pos_label=RARE),
        precision_score(y_test, predictions, pos_label=RARE),
    ]
    print(
        f"class_weight={class_weight!r:<11} accuracy {scores[0]:.3f}   balanced "
        f"{scores[1]:.3f}   recall {scores[2]:.3f}   precision {scores[3]:.3f}"
    )
    bars = panel.bar(
        np.arange(4) + 0.38 * place - 0.19,
        scores,
        width=0.36,
        color=("#9ecae1", "#08306b")[place],
        label=f"class_weight={class_weight!r}",
    )
    panel.bar_label(bars, fmt="%.2f", padding=2)
panel.set(title="Adult data, test rows", ylabel="score", ylim=(0, 1.05))
panel.set_xticks(range(4), names)
panel.legend(loc="upper center", ncols=2, frameon=False)
plt.show()
# sphinx_gallery_thumbnail_path = 'images/class_weights.png'
