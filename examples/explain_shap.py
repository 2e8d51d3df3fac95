"""
Explain predictions: SHAP
=========================

SHAP's DeepExplainer attributes what a network returns to its features, against the mean over a
background. It hooks the layers of ``module_`` and so needs only a few passes; an explainer of
``predict`` would need thousands of predictions. It prints::

    expected 152.7 + attributed 100.1 = 252.9, predicted 252.9
    the same for all 89: True

and draws

.. image:: /images/explain_shap.png
   :alt: The attributions of each feature over 89 people, coloured by the feature's value.

SHAP is ``pip install shap``. Run it with ``python examples/explain_shap.py``.
"""

# sphinx_gallery_thumbnail_path = 'images/explain_shap.png'

# %%
# Fit, and explain
# ----------------
# With ``scale_target`` the network's outputs are in standard deviations of ``y``;
# ``target_scale_`` converts the attributions to the units of ``y``.

import matplotlib.pyplot as plt
import numpy as np
import shap
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import TorchMLPRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True)
names = list(X.columns)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
scaler = StandardScaler().fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)

network = TorchMLPRegressor(hidden_layer_sizes=(20, 20), alpha=1.0, random_state=0)
network.set_params(scale_target="standard", max_iter=100, tol=1e-3, device="cpu")
network.fit(X_train, y_train)

background = torch.tensor(X_train[:100], dtype=network.dtype_)
samples = torch.tensor(X_test, dtype=network.dtype_)
explainer = shap.DeepExplainer(network.module_, background)
values = explainer.shap_values(samples)[:, :, 0] * network.target_scale_

# %%
# Attributions sum to the predictions
# -----------------------------------

expected = network.predict(X_train[:100]).mean()
predicted = network.predict(X_test)
print(
    f"expected {expected:.1f} + attributed {values[0].sum():.1f} = "
    f"{expected + values[0].sum():.1f}, predicted {predicted[0]:.1f}"
)
is_same = np.allclose(expected + values.sum(1), predicted, rtol=1e-3)
print(f"the same for all {len(predicted)}: {is_same}")

# %%
# Draw
# ----

shap.summary_plot(values, X_test, feature_names=names, show=False, plot_size=(8, 5))
plt.xlabel("contribution to the predicted progression")
plt.tight_layout()
plt.show()
