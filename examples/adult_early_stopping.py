"""
Stop on the log-loss, not on the accuracy
=========================================

Who earns more than 50,000 dollars? On the adult census data a network soon finds the right side of
0.5, and its accuracy hardly changes; its probabilities first get better, then overconfident.
scikit-learn's rule watches the accuracy. ``scoring="neg_log_loss"`` watches the probabilities.

The validation set is raw data frames, passed through the Pipeline: ``transform_input=["X_val"]``
lets each step transform it as it does ``X``. It prints::

    stopped on accuracy: 18.6 epochs, test log-loss 0.3106, accuracy 0.8562
    stopped on log-loss: 15.6 epochs, test log-loss 0.3071, accuracy 0.8569

and draws

.. image:: /images/adult_early_stopping.png
   :alt: Log-loss and accuracy on the validation set per epoch, and the epochs each rule kept.

The data comes from the folder that the environment variable ``SKLEARN_MLP_DATA`` names, or else
from OpenML. Run it with ``python examples/adult_early_stopping.py``.
"""

# %%
# The data
# --------

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sklearn
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import fetch_openml
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mlp import TorchMLPClassifier

NAMES = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status"),
    *("occupation", "relationship", "race", "sex", "capital-gain", "capital-loss"),
    *("hours-per-week", "native-country", "class"),
)


def load_adult() -> pd.DataFrame:
    """Return the two files of the census together, 48,842 people, or OpenML's copy of them."""
    folder = os.environ.get("SKLEARN_MLP_DATA")
    if folder is None:
        frame = fetch_openml("adult", version=2, as_frame=True).frame
        return frame.astype({"class": str})
    # The second file begins with a comment, and ends its labels with a full stop.
    parts = [
        pd.read_csv(
            Path(folder) / "adult" / name, names=NAMES, skipinitialspace=True, skiprows=skipped
        )
        for name, skipped in [("adult.data.gz", 0), ("adult.test.gz", 1)]
    ]
    return pd.concat(parts, ignore_index=True)


adult = load_adult()
X, y = adult.drop(columns="class"), adult["class"].str.rstrip(".")
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=16_000, random_state=0)
X_train, X_val, y_train, y_val = train_test_split(
    X_train, y_train, test_size=6_000, random_state=0
)

# %%
# Two rules
# ---------
# Metadata routing passes ``X_val`` and ``y_val`` to the step that asks for them. Five seeds,
# because one says little: what a rule keeps depends on the noise of the validation set.

sklearn.set_config(enable_metadata_routing=True)
columns = make_column_transformer(
    (StandardScaler(), make_column_selector(dtype_include="number")),
    (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
)
networks: dict[str, list[TorchMLPClassifier]] = {}
for rule, scoring in [("accuracy", None), ("log-loss", "neg_log_loss")]:
    networks[rule], results = [], []
    for seed in range(5):
        network = TorchMLPClassifier(
            hidden_layer_sizes=(100, 100),
            early_stopping=True,
            scoring=scoring,
            n_iter_no_change=8,
            random_state=seed,
        ).set_fit_request(X_val=True, y_val=True)
        model = make_pipeline(columns, network, transform_input=["X_val"])
        model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
        loss = log_loss(y_test, model.predict_proba(X_test))
        results.append((network.n_iter_, loss, accuracy_score(y_test, model.predict(X_test))))
        networks[rule].append(network)
    n_epochs, loss, accuracy = np.mean(results, axis=0)
    print(
        f"stopped on {rule}: {n_epochs:.1f} epochs, "
        f"test log-loss {loss:.4f}, accuracy {accuracy:.4f}"
    )

# %%
# What each rule kept
# -------------------
# With the same seed both networks are the same as long as both train: here is the longer of the
# two runs for each seed, and the epochs whose weights each rule kept.

figure, axes = plt.subplots(2, 1, sharex=True, figsize=(8, 6.4), layout="constrained")
for pair in zip(*networks.values(), strict=True):
    longer = max(pair, key=lambda network: network.n_iter_).history_
    of_accuracy = pair[0].history_["validation_score"]
    curves = [longer["validation_loss"], of_accuracy]
    kept = [network.history_["validation_score"].idxmax() for network in pair]
    for ax, curve in zip(axes, curves, strict=True):
        ax.plot(curve.index, curve, color="0.8", zorder=0)
        for epoch, color in zip(kept, ["tab:blue", "tab:orange"], strict=True):
            if epoch in curve.index:
                ax.scatter(epoch, curve[epoch], color=color)
axes[0].set(ylabel="Validation log-loss", title="Adult: five networks, two rules")
axes[1].set(xlabel="Epoch", ylabel="Validation accuracy")
for rule, color in [("accuracy", "tab:blue"), ("log-loss", "tab:orange")]:
    axes[0].scatter([], [], color=color, label=f"kept by {rule}")
axes[0].legend()
plt.show()
# sphinx_gallery_thumbnail_path = 'images/adult_early_stopping.png'
