"""
A table as it comes
===================

Who earns more than 50,000 dollars? The adult census data has numbers, words and missing values.
`TabularMLPClassifier` takes it as it was downloaded, in ten lines. For comparison, scikit-learn's
network needs an imputer, a scaler, a one-hot encoder, and the columns that each is for.

It prints something like::

    the table as it comes: accuracy 0.8571, log-loss 0.3082, 5.7 s
    expected from rows held out: accuracy 0.8582
    scikit-learn's network behind a pipeline: accuracy 0.8292, log-loss 0.4402, 6.4 s

The data comes from the folder that the environment variable ``SKLEARN_MLP_DATA`` names, or else
from OpenML. Run it with ``python examples/adult_as_it_comes.py``; it trains on 5,000 rows, or on
the number given as an argument.
"""

# %%
# Ten lines
# ---------

import sys
import time

from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tables import load_adult

from sklearn_mlp import TabularMLPClassifier

N_ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 5000

people, earns = load_adult()
X, X_test, y, y_test = train_test_split(people, earns, train_size=N_ROWS, random_state=0)

began = time.perf_counter()
model = TabularMLPClassifier(random_state=0).fit(X, y)
seconds = time.perf_counter() - began

probabilities = model.predict_proba(X_test)
accuracy = accuracy_score(y_test, model.classes_[probabilities.argmax(axis=1)])
loss = log_loss(y_test, probabilities)
print(f"the table as it comes: accuracy {accuracy:.4f}, log-loss {loss:.4f}, {seconds:.1f} s")
print(f"expected from rows held out: accuracy {model.oof_score_:.4f}")

# %%
# The usual pipeline
# ------------------

began = time.perf_counter()
pipeline = make_pipeline(
    make_column_transformer(
        (
            make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    ),
    MLPClassifier(random_state=0),
).fit(X, y)
seconds = time.perf_counter() - began

accuracy = pipeline.score(X_test, y_test)
loss = log_loss(y_test, pipeline.predict_proba(X_test))
print(
    f"scikit-learn's network behind a pipeline: accuracy {accuracy:.4f}, log-loss {loss:.4f}, "
    f"{seconds:.1f} s"
)
# sphinx_gallery_thumbnail_path = 'images/adult_as_it_comes.svg'
