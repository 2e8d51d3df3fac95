"""What verbose shows: lines as scikit-learn's, or a progress bar."""

import re

import pytest
from conftest import native_only

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def shown(capsys):
    """Return the last state of the bar; nothing else is printed."""
    output, errors = capsys.readouterr()
    assert output == ""
    return errors.rstrip().split("\r")[-1]


def test_a_bar_counts_epochs_and_shows_the_loss(make_classifier, iris, capsys):
    estimator = make_classifier(verbose="progress").fit(*iris)
    bar = shown(capsys)
    assert bar.startswith("TorchMLPClassifier: 100%")
    assert "5/5" in bar
    assert f"loss={estimator.loss_:.4f}" in bar
    # Time gone and time left.
    assert re.search(r"\[\d\d:\d\d<\d\d:\d\d", bar)


def test_a_bar_shows_the_score_and_ends_full(make_regressor, diabetes, capsys):
    X, y = diabetes
    estimator = make_regressor(verbose="progress", max_iter=50, tol=1.0, n_iter_no_change=2)
    estimator.fit(X, y, X_val=X, y_val=y)
    bar = shown(capsys)
    assert estimator.n_iter_ < 50
    assert f"{estimator.n_iter_}/{estimator.n_iter_}" in bar
    assert f"score={estimator.validation_scores_[-1]:.4f}" in bar


@native_only
def test_a_bar_of_iterations(make_classifier, iris, capsys):
    make_classifier(verbose="progress", solver="lbfgs").fit(*iris)
    assert "5/5" in shown(capsys)


def test_a_bar_for_a_call_of_partial_fit(make_classifier, iris, capsys):
    make_classifier(verbose="progress").partial_fit(*iris, classes=[0, 1, 2])
    assert "1/1" in shown(capsys)


def test_silence_is_the_default(make_classifier, iris, capsys):
    make_classifier().fit(*iris)
    assert shown(capsys) == ""


def test_a_number_prints_lines(make_classifier, iris, capsys):
    make_classifier(verbose=2).fit(*iris)
    output, errors = capsys.readouterr()
    assert len(re.findall(r"^Iteration \d, loss = ", output, re.MULTILINE)) == 5
    assert errors == ""
