"""What runs where: each row of the table in the docs, held against fits."""

from pathlib import Path

import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from what_runs_where import ROWS, table

from sklearn_mlp import TorchMLPRegressor
from sklearn_mlp.compiled.library import why_not_here
from sklearn_mlp.many.planning import why_not_stacked
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.steps.choice import choose_engine, reason_for_autograd
from sklearn_mlp.training import native as train

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PAGE = Path(__file__).parents[2] / "docs" / "what-runs-where.md"


def make_estimator(row):
    """Return an unfitted estimator with a row's option switched on."""
    settings = {"hidden_layer_sizes": (4, 4), "max_iter": 2, "random_state": 0, "batch_size": 50}
    return TorchMLPRegressor(**settings, dtype="float64").set_params(**row.parameters)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.option)
def test_a_row_is_true(row, diabetes, monkeypatch):
    X, y = diabetes
    seen = []

    def record(fit, step, *others):
        seen.append((step.can_be_captured, fit.data.inputs.has_sparse_batches))
        return run(fit, step, *others)

    run = train.SingleRun
    with monkeypatch.context() as patch:
        patch.setattr(train, "SingleRun", record)
        few = scipy.sparse.csr_array(X * (abs(X) > 2))
        sparse = make_estimator(row).fit(few, y)
    assert seen == [(row.has_graph, row.keeps_sparse)]
    assert sparse.engine_ == row.engine
    assert_allclose(sparse.predict(few), sparse.predict(few.toarray()), rtol=1e-9, atol=1e-12)

    if why_not_here() is None:
        compiled = make_estimator(row).fit(X, y)
        assert compiled.engine_ == ("compiled" if row.is_compiled else row.engine)

    by_skorch = make_estimator(row).set_params(backend="skorch")
    assert row.has_skorch
    assert_allclose(by_skorch.fit(few, y).loss_curve_, sparse.loss_curve_, rtol=1e-9)
    assert by_skorch.engine_ == "skorch"

    quasi_newton = make_estimator(row).set_params(solver="lbfgs")
    if row.has_lbfgs:
        assert quasi_newton.fit(X, y).engine_ == row.engine
    else:
        with pytest.raises(ValueError, match="cannot be used with solver='lbfgs'"):
            quasi_newton.fit(X, y)
    assert (why_not_stacked(clone(make_estimator(row))) is None) == row.is_stacked


def test_the_page_shows_the_table():
    assert table() in PAGE.read_text()


def test_the_reason_names_what_it_is():
    reasons = {
        "normalization='layer' has no closed form here": MLP(
            (2, 2, 1), "relu", torch.float32, normalization="layer"
        ),
        "an activation is a callable": MLP((2, 2, 1), [torch.sin], torch.float32),
        "the network is not this package's own": torch.nn.Linear(2, 1),
        None: MLP((2, 2, 1), ["gelu"], torch.float32, dropout=0.5),
    }
    for reason, network in reasons.items():
        assert reason_for_autograd(network) == reason
        assert choose_engine(network, "skorch") == "skorch"
        expected = "closed_form" if reason is None else "autograd"
        assert choose_engine(network, "torch") == expected
