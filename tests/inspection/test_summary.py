"""The table of layers in the HTML representation."""

import pytest
import torch
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp.inspection.html import summarize_layers
from sklearn_mlp.network.mlp import count_parameters

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def lines(estimator):
    """The lines of the table of a fitted estimator."""
    return summarize_layers(estimator.module_, estimator.out_activation_)


def test_layers_and_their_parameters(make_classifier, make_regressor, iris, diabetes):
    assert lines(make_classifier(hidden_layer_sizes=(50, 7)).fit(*iris)) == [
        ("hidden 0", "4 → 50, relu", 5 * 50),
        ("hidden 1", "50 → 7, relu", 51 * 7),
        ("output", "7 → 3, softmax", 8 * 3),
    ]
    linear = make_regressor(hidden_layer_sizes=()).fit(*diabetes)
    assert lines(linear) == [("output", "10 → 1, identity", 11)]


def test_what_else_is_in_a_layer(make_classifier, iris):
    estimator = make_classifier(
        hidden_layer_sizes=(6, 6),
        activation=["tanh", torch.nn.PReLU()],
        normalization="batch",
        residual=True,
        dropout=(0, 0.25),
    ).fit(*iris)
    assert [line.form for line in lines(estimator)] == [
        "4 → 6, batch normalization, tanh",
        "6 → 6, batch normalization, PReLU, dropout 0.25, residual",
        "6 → 3, softmax",
    ]
    n_parameters = sum(line.n_parameters for line in lines(estimator))
    assert n_parameters == count_parameters(estimator.module_)


def test_a_module_of_the_users_own(make_classifier, iris):
    def two_layers(**sizes):
        return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))

    estimator = make_classifier(module=two_layers).fit(*iris)
    assert lines(estimator) == [("0", "Linear", 25), ("2", "Linear", 18)]
    assert "Sequential" in estimator._repr_html_()


def test_html(make_classifier, iris):
    estimator = make_classifier(hidden_layer_sizes=(50,))
    assert "Parameters</th>" not in estimator._repr_html_()
    estimator.fit(*iris)
    for shown in (estimator, make_pipeline(StandardScaler(), estimator).fit(*iris)):
        page = shown._repr_html_()
        assert "4 → 50, relu" in page
        assert "<td>250</td>" in page
        assert "<td>403</td>" in page
        assert "loss_curve_" in page


def test_html_inside_another_estimator_that_is_fitted(make_classifier, iris):
    X, y = iris
    search = GridSearchCV(make_classifier(), {"alpha": [0.1]}, cv=2).fit(X, y)
    # What it shows is the estimator that it was given.
    assert "TorchMLPClassifier" in BaggingClassifier(make_classifier(), 2).fit(X, y)._repr_html_()
    assert "TorchMLPClassifier" in search._repr_html_()
