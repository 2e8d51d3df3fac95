"""The display classes: what is drawn, where, and what is asked of the user."""

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import (
    LearningRateDisplay,
    LossCurveDisplay,
    ValidationScoreDisplay,
    WeightsDisplay,
)

mpl.use("Agg")

from matplotlib import pyplot as plt

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def close_figures():
    """Leave no figure open."""
    yield
    plt.close("all")


@pytest.fixture
def watched(make_classifier, iris):
    """A model that was fitted with a validation set."""
    X, y = iris
    return make_classifier().fit(X, y, X_val=X, y_val=y)


def test_loss_curves(watched):
    display = LossCurveDisplay.from_estimator(watched)
    training, validation = display.lines_["TorchMLPClassifier"]
    assert_array_equal(training.get_xdata(), [1, 2, 3, 4, 5])
    assert_array_equal(training.get_ydata(), watched.loss_curve_)
    assert_array_equal(validation.get_ydata(), watched.history_["validation_loss"])
    assert training.get_color() == validation.get_color()
    assert training.get_linestyle() != validation.get_linestyle()
    assert display.ax_.get_xlabel() == "Epoch"
    assert display.ax_.get_ylabel() == "Loss"
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["training", "validation"]


def test_curves_of_several_models_on_given_axes(watched, make_classifier, iris):
    X, y = iris
    plain = make_classifier(max_iter=3).fit(X, y)
    figure, ax = plt.subplots()
    names = ["watched", "plain"]
    display = LossCurveDisplay.from_estimators([watched, plain], names=names, ax=ax, linewidth=3)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert [len(lines) for lines in display.lines_.values()] == [2, 1]
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["watched training", "watched validation", "plain training"]
    assert {line.get_linewidth() for line in ax.get_lines()} == {3}
    scores = ValidationScoreDisplay.from_estimators([watched, plain])
    assert [len(lines) for lines in scores.lines_.values()] == [1, 0]
    assert_array_equal(scores.ax_.get_lines()[0].get_ydata(), watched.validation_scores_)


def test_the_network_at_the_end_of_others(make_classifier, iris):
    X, y = iris
    settings = {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1}
    pipeline = make_pipeline(StandardScaler(), make_classifier(**settings))
    grid = {"torchmlpclassifier__alpha": [0.1, 1]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    display = LearningRateDisplay.from_estimator(search)
    expected = search.best_estimator_[-1].history_["learning_rate"]
    assert_array_equal(display.ax_.get_lines()[0].get_ydata(), expected)
    assert display.ax_.get_legend() is None


def test_weights_as_images(make_classifier, make_regressor, digits):
    X, y = digits
    estimator = make_classifier().fit(X, y)
    display = WeightsDisplay.from_estimator(estimator)
    assert len(display.images_) == 8
    for unit, image in enumerate(display.images_):
        assert_array_equal(image.get_array(), estimator.coefs_[0][:, unit].reshape(8, 8))
        low, high = image.get_clim()
        assert low == -high
    assert not any(ax.axison for ax in display.axes_.flat)
    oblong = make_regressor().fit(X[:, :12], y)
    display = WeightsDisplay.from_estimator(oblong, image_shape=(3, 4), n_units=2, cmap="gray")
    assert display.images_[0].get_array().shape == (3, 4)
    assert len(display.images_) == 2


def test_what_cannot_be_drawn(make_classifier, iris):
    X, y = iris
    with pytest.raises(TypeError, match="a fitted TorchMLPClassifier or TorchMLPRegressor"):
        LossCurveDisplay.from_estimator(make_classifier())
    plain = make_classifier().fit(X, y)
    with pytest.raises(ValueError, match="has a validation score; fit with early_stopping=True"):
        ValidationScoreDisplay.from_estimator(plain)
    with pytest.raises(ValueError, match="a different name for each of the 2 estimators"):
        LossCurveDisplay.from_estimators([plain, plain], names=["one", "one"])
    with pytest.raises(ValueError, match=r"image_shape=\(3, 1\) has 3 pixels, .* 4 features"):
        WeightsDisplay.from_estimator(plain, image_shape=(3, 1))
    with pytest.raises(ValueError, match="axes must be at least 8, one per unit, got 1"):
        WeightsDisplay(images=np.zeros((8, 2, 2))).plot(plt.subplots()[1])
