"""The batched searches against scikit-learn's own over the same estimators."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from conftest import SMALL
from dask_clusters import dask_cluster
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_mlp import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    TorchMLPClassifier,
    TorchMLPRegressor,
    cross_validate_batched,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("by_torch"),
]

EXACT = {**SMALL, "dtype": "float64", "device": "cpu"}
GRID = {"alpha": [1e-4, 0.3], "learning_rate_init": [0.003, 0.03]}


def classifier(**parameters):
    return TorchMLPClassifier(**{**EXACT, **parameters})


def assert_same_results(mine, theirs, atol=1e-12):
    """Compare ``cv_results_``: the same columns in the same order, the same numbers but times."""
    ours, expected = mine.cv_results_, theirs.cv_results_
    assert list(ours) == list(expected)
    for name in expected:
        if name.endswith("_time"):
            assert (np.asarray(ours[name]) >= 0).all()
        elif name.startswith("param_"):
            # Masked where a candidate has no such parameter.
            assert repr(ours[name].tolist()) == repr(expected[name].tolist())
        elif expected[name] is not None and np.asarray(expected[name]).dtype.kind == "f":
            assert_allclose(ours[name], expected[name], rtol=1e-9, atol=atol, err_msg=name)
        else:
            assert repr(ours[name]) == repr(expected[name])


def search_both(estimator, grid, X, y, fit_params=None, **options):
    """Fit scikit-learn's search and ours."""
    theirs = GridSearchCV(clone(estimator), grid, **options).fit(X, y, **(fit_params or {}))
    mine = BatchedGridSearchCV(estimator, grid, **options).fit(X, y, **(fit_params or {}))
    assert_same_results(mine, theirs)
    return mine, theirs


def test_everything_a_search_leaves_behind(digits):
    X, y = digits
    mine, theirs = search_both(classifier(), GRID, X, y, cv=3, return_train_score=True)
    assert mine.best_params_ == theirs.best_params_
    assert mine.best_score_ == pytest.approx(theirs.best_score_, abs=1e-12)
    for name in ("best_index_", "n_splits_", "multimetric_", "n_features_in_"):
        assert getattr(mine, name) == getattr(theirs, name)
    for one, other in zip(mine.best_estimator_.coefs_, theirs.best_estimator_.coefs_, strict=True):
        assert_array_equal(one, other)
    assert_array_equal(mine.predict_proba(X), theirs.predict_proba(X))
    assert mine.score(X, y) == theirs.score(X, y)
    again = pickle.loads(pickle.dumps(mine))
    assert_array_equal(again.predict(X), mine.predict(X))
    assert clone(mine).get_params().keys() == mine.get_params().keys()
    assert "best_estimator_" in mine._repr_html_()


def test_early_stopping_widths_and_stopping_at_different_epochs(digits):
    X, y = digits
    grid = {"hidden_layer_sizes": [(5,), (9, 4)], "tol": [1e-4, 0.1], "n_iter_no_change": [1, 3]}
    estimator = classifier(early_stopping=True, max_iter=15, learning_rate_init=0.02)
    search_both(estimator, grid, X, y, cv=2, refit=False)


# Fits that differ in nothing but what they draw: adam has no use for max_fun.
SAME = {"max_fun": [1, 2, 3]}


def test_random_state_is_cloned_as_scikit_learn_clones_it(iris):
    X, y = iris
    seed = np.random.RandomState(3)
    search_both(classifier(random_state=seed), GRID, X, y, cv=2, refit=False)
    search_both(classifier(random_state=seed), SAME, X, y, cv=2, refit=False)


def test_without_a_random_state_each_fit_draws_for_itself(iris):
    X, y = iris
    rows = np.arange(len(y))
    search = BatchedGridSearchCV(
        classifier(random_state=None), SAME, cv=[(rows, rows)] * 2, scoring="neg_log_loss"
    )
    results = search.fit(X, y).cv_results_
    scores = {*results["split0_test_score"], *results["split1_test_score"]}
    assert len(scores) == 6
    search.set_params(estimator__random_state=0).fit(X, y)
    assert np.ptp(search.cv_results_["mean_test_score"]) < 1e-12


def test_regressor_with_several_metrics(diabetes):
    X, y = diabetes
    scoring = {"r2": "r2", "error": "neg_mean_absolute_error"}
    estimator = TorchMLPRegressor(**EXACT)
    mine, theirs = search_both(
        estimator, GRID, X, y, cv=3, scoring=scoring, refit="error", return_train_score=True
    )
    assert mine.multimetric_
    assert mine.best_params_ == theirs.best_params_
    search_both(estimator, {"loss": ["squared_error"], **GRID}, X, y, cv=KFold(2), refit=False)


def scorer_of_two(estimator, X, y):
    """Return two scores; looks at what the user passed, not at what the network gets."""
    assert X.max() > 1.5
    return {"a": estimator.score(X, y), "b": float(estimator.predict_proba(X).max())}


def test_pipelines_are_preprocessed_once_per_fold_and_setting(digits):
    X, y = digits
    fits = []

    def count(values):
        fits.append(len(values))
        return values * 1.0

    estimator = Pipeline(
        [
            ("count", FunctionTransformer(count)),
            ("scale", StandardScaler()),
            ("reduce", PCA(random_state=0)),
            ("mlp", classifier()),
        ]
    )
    grid = {"reduce__n_components": [8, 20], "mlp__alpha": [1e-4, 0.3, 1.0]}
    theirs = GridSearchCV(clone(estimator), grid, cv=3, refit=False).fit(X * 16, y)
    n_theirs = len(fits)
    fits.clear()
    mine = BatchedGridSearchCV(estimator, grid, cv=3, refit=False).fit(X * 16, y)
    assert_same_results(mine, theirs)
    # Two settings on three folds, each for training and testing.
    assert (n_theirs, len(fits)) == (36, 12)
    search_both(estimator, grid, X * 16, y, cv=2, scoring=scorer_of_two, refit="a")


def test_pipelines_of_one_step_and_steps_that_are_searched(iris):
    X, y = iris
    estimator = Pipeline([("scale", StandardScaler()), ("mlp", classifier())])
    grid = {"scale": ["passthrough", StandardScaler()], "mlp__alpha": [0.1, 1.0]}
    search_both(estimator, grid, X, y, cv=2)
    grid = {"mlp": [classifier(alpha=2), classifier(random_state=2)]}
    search_both(estimator, grid, X, y, cv=2)
    search_both(make_pipeline(classifier()), {"torchmlpclassifier__alpha": [0, 1]}, X, y, cv=2)


def test_what_is_not_stacked_is_named_and_the_results_are_the_same(iris, capsys):
    X, y = iris
    grid = [
        {"solver": ["lbfgs"], "max_iter": [2]},
        {"backend": ["skorch"], "max_iter": [2]},
        {"alpha": [0.1, 0.2]},
    ]
    search_both(classifier(), grid, X, y, cv=2, refit=False, verbose=1)
    theirs, *mine = capsys.readouterr().out.split("Fitting 2 folds")[1:]
    assert mine[0].splitlines()[1:] == [
        "[stack] 2 of 8 fits are not stacked: solver='lbfgs' is trained one by one: "
        "each of its line searches asks for points of its own",
        "[stack] 2 of 8 fits are not stacked: backend='skorch' is trained one by one: "
        "skorch's loop trains one network",
    ]
    assert theirs.splitlines()[1:] == []


def test_the_messages_are_scikit_learns(iris, capsys):
    X, y = iris
    search_both(classifier(), GRID, X, y, cv=2, refit=False, verbose=10, return_train_score=True)
    lines = [line.split("total time")[0] for line in capsys.readouterr().out.splitlines()]
    half = len(lines) // 2
    # Dots fill the line up to the time, which differs.
    assert {line.replace(".", "") for line in lines[:half]} == {
        line.replace(".", "") for line in lines[half:]
    }


def test_a_candidate_that_diverges(diabetes):
    X, y = diabetes
    grid = {"learning_rate_init": [1e-3, 1e200, 1e-2]}
    estimator = TorchMLPRegressor(**EXACT, solver="sgd")
    message = "(?s)2 fits failed out of a total of 6.*Solver produced non-finite parameter weights"
    with pytest.warns(FitFailedWarning, match=message):
        mine = BatchedGridSearchCV(estimator, grid, cv=2, error_score=-7.0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same_results(mine, GridSearchCV(estimator, grid, cv=2, error_score=-7.0).fit(X, y))
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        BatchedGridSearchCV(estimator, grid, cv=2, error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match="All the 2 fits failed"):
        BatchedGridSearchCV(estimator, {"learning_rate_init": [1e200]}, cv=2).fit(X, y)


def raise_key_error(estimator, X, y):
    """A scorer that fails."""
    raise KeyError("no such score")


def raise_runtime_error(module, nonlinearity=None):
    """Initial weights that fail."""
    raise RuntimeError("no such layer")


@pytest.mark.parametrize(
    ("grid", "error", "n_failed"),
    [
        ({"scoring": [None, "roc_auc"]}, ValueError, 4),
        ({"scoring": [None, raise_key_error]}, KeyError, 4),
        ({"weight_init": ["auto", raise_runtime_error]}, ValueError, 4),
        ({"device": ["cpu", "abacus"]}, ValueError, 4),
        ({"hidden_layer_sizes": [(3,), (0,), 2.5]}, ValueError, 8),
        ({"batch_size": ["auto", "all"]}, ValueError, 4),
        ({"loss": ["log_loss", raise_key_error]}, ValueError, 4),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_candidates_that_fail_leave_the_others_alone(iris, grid, error, n_failed):
    X, y = iris
    estimator = classifier(early_stopping=True, validation_fraction=0.2)
    grid = {**grid, "alpha": [0.1, 1.0]}
    searches, told = [], []
    for search in (BatchedGridSearchCV, GridSearchCV):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            searches.append(search(estimator, grid, cv=2).fit(X, y))
        failures = [str(one.message) for one in caught if one.category is FitFailedWarning]
        assert len(failures) == 1
        told.append((failures[0].split(".")[0], error.__name__ in failures[0]))
    assert told[0] == told[1]
    assert told[0][0].strip().startswith(f"{n_failed} fits failed")
    assert_same_results(*searches)
    assert np.isnan(searches[0].cv_results_["mean_test_score"]).sum() == n_failed // 2
    for search in (BatchedGridSearchCV, GridSearchCV):
        with pytest.raises(error):
            search(estimator, grid, cv=2, error_score="raise").fit(X, y)


def test_preprocessing_that_fails(iris):
    X, y = iris
    estimator = Pipeline([("reduce", PCA()), ("mlp", classifier())])
    grid = {"reduce__n_components": [2, 99], "mlp__alpha": [0.1, 1.0]}
    with pytest.warns(FitFailedWarning, match="n_components=99 must be between 0"):
        mine = BatchedGridSearchCV(estimator, grid, cv=2, error_score=0.0).fit(X, y)
    assert (mine.cv_results_["mean_test_score"] == 0).sum() == 2


def test_sample_weight_goes_to_fit_and_to_the_scorer(breast_cancer):
    X, y = breast_cancer
    weight = np.random.RandomState(0).randint(1, 4, len(y)).astype(float)
    search_both(classifier(), GRID, X, y, {"sample_weight": weight}, cv=2)
    with config_context(enable_metadata_routing=True):
        estimator = classifier().set_fit_request(sample_weight=True)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        search_both(estimator, GRID, X, y, {"sample_weight": weight}, cv=2, scoring=scorer)


def test_data_frames_strings_groups_and_integers(iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    names = np.array(["x", "y", "z"])[y]
    mine, _ = search_both(classifier(), GRID, frame, pd.Series(names), cv=2)
    assert list(mine.feature_names_in_) == list("abcd")
    search_both(classifier(), GRID, (X * 10).astype(int), y, cv=2, refit=False)


def test_float32_scores_are_within_the_promise(digits):
    X, y = digits
    estimator = TorchMLPClassifier((30,), max_iter=30, random_state=0, device="cpu")
    theirs = GridSearchCV(estimator, GRID, cv=3, refit=False).fit(X, y)
    mine = BatchedGridSearchCV(estimator, GRID, cv=3, refit=False).fit(X, y)
    scores = [search.cv_results_["mean_test_score"] for search in (mine, theirs)]
    assert_allclose(*scores, atol=0.005)


def test_randomized(iris):
    X, y = iris
    draws = {"alpha": loguniform(1e-5, 1), "beta_1": loguniform(0.5, 0.99)}
    options = {"n_iter": 5, "random_state": 0, "cv": 2}
    theirs = RandomizedSearchCV(classifier(), draws, **options).fit(X, y)
    assert_same_results(
        BatchedRandomizedSearchCV(classifier(), draws, **options).fit(X, y), theirs
    )


def test_cross_validate(iris):
    X, y = iris
    options = {
        "cv": KFold(3, shuffle=True, random_state=0),
        "return_train_score": True,
        "return_indices": True,
        "return_estimator": True,
    }
    for estimator in (classifier(), make_pipeline(StandardScaler(), classifier())):
        theirs = cross_validate(estimator, X, y, **options)
        mine = cross_validate_batched(estimator, X, y, **options)
        assert list(mine) == list(theirs)
        for name in ("test_score", "train_score"):
            assert_allclose(mine[name], theirs[name], rtol=1e-12)
        for one, other in zip(mine["estimator"], theirs["estimator"], strict=True):
            assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-9)
        assert_array_equal(mine["indices"]["test"][0], theirs["indices"]["test"][0])
    with pytest.raises(ValueError, match="The 'cv' parameter of cross_validate"):
        cross_validate_batched(classifier(), X, y, cv="a")


def test_processes_and_memory(iris):
    X, y = iris
    options = {"cv": 3, "n_jobs": 2, "refit": False}
    theirs = GridSearchCV(classifier(), GRID, cv=3, refit=False).fit(X, y)
    mine = BatchedGridSearchCV(classifier(), GRID, max_memory=200_000, **options).fit(X, y)
    assert_same_results(mine, theirs)


def test_bad_input(iris):
    X, y = iris
    expected = r"BatchedGridSearchCV takes a TorchMLPClassifier, .* got LogisticRegression\(\)"
    with pytest.raises(TypeError, match=expected):
        BatchedGridSearchCV(LogisticRegression(), {"C": [1]}).fit(X, y)
    with pytest.raises(TypeError, match="cross_validate_batched takes a TorchMLPClassifier"):
        cross_validate_batched(LogisticRegression(), X, y)
    with pytest.raises(ValueError, match="Invalid parameter 'alhpa' for estimator"):
        BatchedGridSearchCV(classifier(), {"alhpa": [1]}).fit(X, y)
    with pytest.raises(ValueError, match=r"max_memory=1000 allows 1000 bytes .*raise max_memory"):
        BatchedGridSearchCV(classifier(), GRID, max_memory=1000).fit(X, y)
    with pytest.raises(ValueError, match="The 'max_memory' parameter of BatchedGridSearchCV"):
        BatchedGridSearchCV(classifier(), GRID, max_memory=0).fit(X, y)


# Its processes may be killed while they end.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_stacks_are_what_a_dask_cluster_is_sent(iris):
    X, y = iris
    theirs = GridSearchCV(classifier(), GRID, cv=2, refit=False).fit(X, y)
    with dask_cluster(n_workers=1, threads_per_worker=2) as client:
        with parallel_config(backend="dask", n_jobs=2):
            mine = BatchedGridSearchCV(classifier(), GRID, cv=2, refit=False).fit(X, y)
        tasks = {
            name: group.state_counts["processing"]
            for name, group in client.cluster.scheduler.task_prefixes.items()
        }
    assert_same_results(mine, theirs)
    # Eight fits, two at once: a task per stack.
    assert {count for name, count in tasks.items() if "fit_and_score_stack" in name} == {2}


class Recorder:
    """Keeps what its hooks are called with."""

    def __init__(self):
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.calls.append(f"begin {context.task_name} {context.task_id} {np.shape(X)}")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None):
        self.calls.append(f"end {context.task_name} {context.task_id} {np.shape(X)}")


@pytest.mark.parametrize("scale", [False, True], ids=["plain", "pipeline"])
def test_callbacks_of_the_search_are_told_of_every_fit(iris, scale):
    X, y = iris
    estimator = Pipeline([("scale", StandardScaler()), ("mlp", classifier())])
    grid = {f"mlp__{name}": values for name, values in GRID.items()}
    if not scale:
        estimator, grid = classifier(), GRID
    calls = []
    for kind in (GridSearchCV, BatchedGridSearchCV):
        recorder = Recorder()
        kind(estimator, grid, cv=2).set_callbacks(recorder).fit(X, y)
        calls.append(sorted(recorder.calls))
    assert calls[0] == calls[1]
    search = BatchedGridSearchCV(estimator, grid, cv=2).set_callbacks(ProgressBar())
    assert search.fit(X, y).best_score_ > 0


def test_sparse_samples_are_stacked(iris, capsys):
    X, y = iris
    search_both(classifier(), GRID, scipy.sparse.csr_matrix(X), y, cv=2, verbose=1)
    assert "[stack]" not in capsys.readouterr().out
    estimator = Pipeline(
        [("sparse", FunctionTransformer(scipy.sparse.csr_matrix)), ("mlp", classifier())]
    )
    search_both(estimator, {"mlp__alpha": [0.1, 1.0]}, X, y, cv=2)


def test_dropout_and_class_weights_are_stacked(digits, capsys):
    X, y = digits
    grid = {"dropout": [0.0, 0.3], "class_weight": [None, "balanced"], "label_smoothing": [0, 0.1]}
    search_both(classifier(), grid, X, y, cv=2, verbose=1)
    assert "[stack]" not in capsys.readouterr().out
