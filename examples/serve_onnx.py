"""
Serve a model with onnxruntime only
===================================

A Pipeline with a fitted :class:`~sklearn_mlp.TorchMLPClassifier` is written as ONNX. Another
process answers requests with it, using onnxruntime and NumPy, but neither torch nor scikit-learn.
Its answers are those of the Pipeline, up to float32 rounding.

It needs the packages of the extra ``onnx``: ``pip install 'sklearn-mlp[onnx]'``.
"""

# %%
# Fit, and write the Pipeline as ONNX
# -----------------------------------
# skl2onnx converts Pipelines once :func:`~sklearn_mlp.register_onnx` has registered this package's
# estimators. A single estimator has the method ``to_onnx(path)``, which only needs onnx.

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import skl2onnx
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import TorchMLPClassifier, register_onnx

wine = load_wine()
X, y = wine.data.astype(np.float32), wine.target_names[wine.target]
network = TorchMLPClassifier(hidden_layer_sizes=(30,), tol=1e-3, random_state=0)
model = make_pipeline(StandardScaler(), network).fit(X[::2], y[::2])
print(f"accuracy on the other half: {model.score(X[1::2], y[1::2]):.2f}")

register_onnx()
converted = skl2onnx.to_onnx(model, X[:1], options={"zipmap": False})
scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
(folder / "wine.onnx").write_bytes(converted.SerializeToString())
print(f"{(folder / 'wine.onnx').stat().st_size / 1024:.1f} KiB on disk")

# %%
# Serve it
# --------
# The server reads one sample per line and answers with the label and the probability of each
# class. A web framework would call ``session.run`` in the same way.

server = """
import json, sys
import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession("wine.onnx", options)
for line in sys.stdin:
    label, probabilities = session.run(None, {"X": np.array([json.loads(line)], np.float32)})
    print(json.dumps({"label": label[0], "probabilities": probabilities[0].tolist()}))
print(json.dumps(sorted({"torch", "sklearn", "sklearn_mlp"} & set(sys.modules))))
"""
requests = "".join(json.dumps(row.tolist()) + "\n" for row in X[1::2])
done = subprocess.run(
    [sys.executable, "-c", server],
    input=requests,
    capture_output=True,
    text=True,
    check=True,
    cwd=folder,
)
*answers, imported = map(json.loads, done.stdout.splitlines())
print("first answer:", answers[0]["label"])
print("of torch, scikit-learn and this package, the server has imported:", imported or "none")

# %%
# The same answers
# ----------------

labels = np.array([answer["label"] for answer in answers])
probabilities = np.array([answer["probabilities"] for answer in answers])
print("the same labels:", np.array_equal(labels, model.predict(X[1::2])))
difference = np.abs(probabilities - model.predict_proba(X[1::2])).max()
print("probabilities within 1e-6:", bool(difference < 1e-6))
scratch.cleanup()
# sphinx_gallery_thumbnail_path = 'images/serve_onnx.svg'
