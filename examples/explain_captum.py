"""
Explain a prediction: captum
============================

What speaks for a class, and what against it? Three attributions for one sample of the wine data:
captum's DeepLift and integrated gradients, which hook or differentiate ``module_`` as any other
network of torch's, and the estimator's own
:meth:`~sklearn_mlp.TorchMLPClassifier.input_gradients`, which need no other package. The first
two sum to the difference between the output of the sample and that of a baseline, here the mean of
all samples.

captum is ``pip install captum``.
"""

# %%
# Fit
# ---
# Attributions refer to the features that ``module_`` receives, which are scaled.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from captum.attr import DeepLift, IntegratedGradients
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import TorchMLPClassifier

wine = load_wine()
X = StandardScaler().fit_transform(wine.data)
network = TorchMLPClassifier(hidden_layer_sizes=(20, 20), activation="tanh", random_state=0)
network.set_params(learning_rate_init=0.01, tol=1e-2).fit(X, wine.target)

sample, target = X[:1], 0
print("probabilities:", network.predict_proba(sample).round(3)[0])

# %%
# Attribute
# ---------
# The output of a class is the value before the softmax, as ``module_`` returns it, because each
# probability depends on all classes.

given = torch.tensor(sample, dtype=network.dtype_, device=network.device_, requires_grad=True)
baseline = torch.zeros_like(given)
with warnings.catch_warnings():
    # captum says that it hooks the layers, and removes its hooks afterwards.
    warnings.simplefilter("ignore", UserWarning)
    lift = DeepLift(network.module_).attribute(given, baseline, target=target)
integrated = IntegratedGradients(network.module_).attribute(given, baseline, target=target)
slopes = network.input_gradients(sample, target, raw=True)

with torch.no_grad():
    difference = (network.module_(given) - network.module_(baseline))[0, target]
for name, values in (("DeepLift", lift), ("integrated gradients", integrated)):
    print(f"{name}: sums to {values.detach().sum():.3f}, the output differs by {difference:.3f}")

# %%
# Draw
# ----
# A slope times the feature is what the feature would contribute if the network were linear.

shown = {
    "DeepLift": lift.detach().cpu().numpy()[0],
    "integrated gradients": integrated.detach().cpu().numpy()[0],
    "input_gradients × feature": (slopes * sample)[0],
}
order = np.argsort(np.abs(shown["DeepLift"]))
places = np.arange(len(order))
figure, panel = plt.subplots(figsize=(8, 5), layout="constrained")
for index, (name, values) in enumerate(shown.items()):
    panel.barh(places - 0.27 * (index - 1), values[order], 0.25, label=name)
panel.set_yticks(places, np.array(wine.feature_names)[order])
panel.axvline(0, color="0.4", linewidth=0.8)
panel.set_xlabel(f"contribution to the output of {wine.target_names[target]}")
panel.legend()
plt.show()
