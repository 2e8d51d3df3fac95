"""What a fit leaves behind, and what it leaves alone."""

import random
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import native_only
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import check_random_state

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

EXACT = {"dtype": "float64", "device": "cpu"}
TASKS = ["binary", "multiclass", "multilabel", "regression", "multioutput", "poisson"]
OURS_ALONE = {
    "torch": {"module_", "engine_", "device_", "dtype_", "history_", "converged_"},
    "skorch": {"module_", "engine_", "device_", "dtype_", "history_", "converged_", "net_"},
}
OUTPUT_ACTIVATIONS = {
    "identity": lambda logits: logits,
    "exp": torch.exp,
    "logistic": torch.sigmoid,
    "softmax": lambda logits: torch.softmax(logits, 1),
}


@pytest.fixture(params=TASKS)
def task(request, make_classifier, make_regressor, breast_cancer, iris, diabetes):
    """The kinds of task: how to make our estimator, how to make scikit-learn's, X and y."""
    X, y = diabetes
    make_poisson = {"loss": "poisson"}
    return {
        "binary": (make_classifier, MLPClassifier, {}, *breast_cancer),
        "multiclass": (make_classifier, MLPClassifier, {}, *iris),
        "multilabel": (
            make_classifier,
            MLPClassifier,
            {},
            *make_multilabel_classification(90, 6, n_classes=3, random_state=0),
        ),
        "regression": (make_regressor, MLPRegressor, {}, X, y),
        "multioutput": (make_regressor, MLPRegressor, {}, X, np.column_stack([y, X[:, 0]])),
        "poisson": (make_regressor, MLPRegressor, make_poisson, X, np.rint(np.exp(y))),
    }[request.param]


def fit_both(task, **parameters):
    """Fit ours and scikit-learn's; return both with X and y."""
    make, Theirs, extra, X, y = task
    parameters = {**extra, **parameters}
    ours = make(**EXACT, **parameters)
    theirs = Theirs(**{"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0, **parameters})
    return ours.fit(X, y), theirs.fit(X, y), X, y


def fitted_attributes(estimator):
    """Return the public names that a fit has set."""
    names = (name for name in dir(estimator) if name.endswith("_") and not name.startswith("_"))
    return {name for name in names if hasattr(estimator, name)}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_fitted_attributes_are_scikit_learns(task, solver, early_stopping):
    ours, theirs, *_ = fit_both(
        task, solver=solver, early_stopping=early_stopping, hidden_layer_sizes=(7, 4)
    )
    names = fitted_attributes(theirs)
    assert fitted_attributes(ours) == names | OURS_ALONE[ours.backend]
    for name in names:
        mine, other = getattr(ours, name), getattr(theirs, name)
        if isinstance(other, list):
            assert isinstance(mine, list)
            assert len(mine) == len(other)
            assert [np.shape(item) for item in mine] == [np.shape(item) for item in other]
            # To rounding, over 5 epochs; L-BFGS divides by curvatures.
            for one, two in zip(mine, other, strict=True):
                assert_allclose(one, two, rtol=1e-6 if solver == "lbfgs" else 1e-9, atol=1e-12)
        elif isinstance(other, np.ndarray):
            assert_array_equal(mine, other)
            assert mine.dtype == other.dtype
        elif isinstance(other, str | int | None):
            assert mine == other
        else:
            assert isinstance(mine, float)
            assert_allclose(mine, other, rtol=1e-6 if solver == "lbfgs" else 1e-9)


@pytest.mark.parametrize("sizes", [(), 3, (5, 4), [6], np.array([3, 2])], ids=str)
def test_hidden_layers(task, sizes):
    ours, theirs, X, _ = fit_both(task, hidden_layer_sizes=sizes)
    assert [coef.shape for coef in ours.coefs_] == [coef.shape for coef in theirs.coefs_]
    assert ours.n_layers_ == theirs.n_layers_
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("activation", "dtype"),
    [
        ("identity", "float32"),
        ("logistic", "float64"),
        ("tanh", "float32"),
        ("relu", "float32"),
        ("relu", "float64"),
    ],
)
def test_module_returns_what_is_predicted_up_to_the_output_activation(task, activation, dtype):
    make, _, extra, X, y = task
    estimator = make(**extra, activation=activation, dtype=dtype).fit(X, y)
    assert isinstance(estimator.module_, torch.nn.Module)
    assert not estimator.module_.training
    assert estimator.dtype_ == getattr(torch, dtype)
    inputs = torch.tensor(X, dtype=estimator.dtype_, device=estimator.device_)
    outputs = OUTPUT_ACTIVATIONS[estimator.out_activation_](estimator.module_(inputs))
    outputs = outputs.detach().cpu().numpy()
    assert outputs.shape == (len(X), estimator.n_outputs_)
    # The same products in the same type, but for the chunks.
    rtol = 1e-5 if dtype == "float32" else 1e-12
    if not hasattr(estimator, "predict_proba"):
        predicted = estimator.predict(X).reshape(outputs.shape)
        assert_allclose(predicted, outputs, rtol=rtol, atol=rtol)
        return
    probabilities = estimator.predict_proba(X)
    if estimator.n_outputs_ == 1:
        assert_allclose(probabilities[:, 0], 1 - probabilities[:, 1], rtol=rtol)
        probabilities = probabilities[:, 1:]
    assert_allclose(probabilities, outputs, rtol=rtol, atol=1e-7 if dtype == "float32" else 1e-15)


def test_module_can_be_trained_further(make_regressor, diabetes):
    X, y = diabetes
    estimator = make_regressor(**EXACT).fit(X, y)
    before = estimator.score(X, y)
    optimizer = torch.optim.SGD(estimator.module_.parameters(), lr=0.1)
    for _ in range(20):
        loss = (estimator.module_(torch.tensor(X))[:, 0] - torch.tensor(y)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert estimator.score(X, y) > before


def test_log_probabilities(make_classifier, iris):
    X, y = iris
    estimator = make_classifier().fit(X, y)
    expected = np.log(estimator.predict_proba(X))
    assert_allclose(estimator.predict_log_proba(X), expected, rtol=1e-12)


# coefs_ and intercepts_.


def test_weights_are_the_modules(make_classifier, iris):
    X, y = iris
    estimator = make_classifier(**EXACT).fit(X, y)
    state = list(estimator.module_.state_dict().values())
    for weight, coef in zip(state[::2], estimator.coefs_, strict=True):
        assert_array_equal(coef, weight.numpy().T)
    for bias, intercept in zip(state[1::2], estimator.intercepts_, strict=True):
        assert_array_equal(intercept, bias.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_assigned_weights_are_what_predicts(make_classifier, iris, dtype):
    X, y = iris
    parameters = {"dtype": dtype, "device": "cpu"}
    source = make_classifier(**parameters, random_state=1).fit(X, y)
    target = make_classifier(**parameters, random_state=2).fit(X, y)
    assert not np.allclose(target.predict_proba(X), source.predict_proba(X))
    target.coefs_ = source.coefs_
    target.intercepts_ = [intercept.tolist() for intercept in source.intercepts_]
    assert_array_equal(target.predict_proba(X), source.predict_proba(X))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_layer_of_weights_can_be_assigned(make_regressor, diabetes, dtype):
    X, y = diabetes
    estimator = make_regressor(dtype=dtype).fit(X, y)
    estimator.coefs_[-1] = np.zeros((8, 1))
    estimator.intercepts_[1] = np.array([2.5])
    assert_array_equal(estimator.coefs_[1], np.zeros((8, 1)))
    assert_array_equal(estimator.predict(X), np.full(len(X), 2.5))


def test_weights_can_be_changed_in_place(make_regressor, diabetes):
    X, y = diabetes
    estimator = make_regressor(**EXACT).fit(X, y)
    before = estimator.predict(X)
    estimator.coefs_[-1][...] *= 2
    estimator.intercepts_[-1] *= 2
    assert_allclose(estimator.predict(X), 2 * before, rtol=1e-12)


def test_a_change_in_place_that_would_be_lost_is_an_error(make_regressor, diabetes):
    X, y = diabetes
    estimator = make_regressor(dtype="float32").fit(X, y)
    assert estimator.coefs_[0].dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        estimator.coefs_[0][...] = 0


def test_assigned_weights_are_what_training_goes_on_from(make_regressor, diabetes):
    X, y = diabetes
    ours, theirs = make_regressor(**EXACT), MLPRegressor(hidden_layer_sizes=(8,), random_state=0)
    for estimator in (ours, theirs):
        estimator.partial_fit(X, y)
        estimator.coefs_[0][:] = 0.01 * np.arange(80).reshape(10, 8)
        estimator.partial_fit(X, y)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)


# history_.


def test_history(make_classifier, iris):
    X, y = iris
    estimator = make_classifier(early_stopping=True, n_iter_no_change=50).fit(X, y)
    history = estimator.history_
    assert isinstance(history, pd.DataFrame)
    validation = ["validation_loss", "validation_score"]
    assert list(history.columns) == ["loss", *validation, "learning_rate", "seconds"]
    assert history.index.name == "epoch"
    assert list(history.index) == [1, 2, 3, 4, 5]
    assert list(history["loss"]) == estimator.loss_curve_
    assert list(history["validation_score"]) == estimator.validation_scores_
    assert (history["learning_rate"] == 0.001).all()
    assert (history["seconds"] > 0).all()
    assert set(history.dtypes) == {np.dtype(float)}
    history["loss"] = 0
    assert (estimator.history_["loss"] > 0).all()


def test_history_without_early_stopping(make_classifier, iris):
    X, y = iris
    history = (
        make_classifier(
            solver="sgd", learning_rate="invscaling", learning_rate_init=0.1, power_t=0.3
        )
        .fit(X, y)
        .history_
    )
    assert history["validation_score"].isna().all()
    expected = [0.1, *(0.1 / (150 * epoch + 1) ** 0.3 for epoch in range(1, 5))]
    assert_allclose(history["learning_rate"], expected, rtol=1e-12)


@native_only
def test_history_of_lbfgs(make_regressor, diabetes):
    X, y = diabetes
    estimator = make_regressor(solver="lbfgs").fit(X, y)
    history = estimator.history_
    assert len(history) == estimator.n_iter_ == 5
    assert history["loss"].iloc[-1] == estimator.loss_
    assert (np.diff(history["loss"]) < 0).all()


def test_history_grows_with_partial_fit_and_starts_anew_with_fit(make_classifier, iris):
    X, y = iris
    estimator = make_classifier().fit(X, y)
    for _ in range(3):
        estimator.partial_fit(X, y)
    assert len(estimator.history_) == len(estimator.loss_curve_) == 8
    assert estimator.t_ == 8 * len(X)
    assert len(estimator.fit(X, y).history_) == 5


@native_only
def test_lbfgs_adds_to_the_history_and_not_to_the_curve(make_classifier, iris):
    X, y = iris
    estimator = make_classifier(solver="lbfgs", warm_start=True).fit(X, y)
    for name in ("loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_"):
        assert not hasattr(estimator, name)
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
            getattr(estimator, name)
    # scikit-learn does not get so far: it lacks the curve to go on with.
    estimator.set_params(solver="adam").fit(X, y)
    assert len(estimator.history_) == 10
    assert estimator.loss_curve_ == list(estimator.history_["loss"])[5:]
    estimator.fit(X, y, X_val=X, y_val=y)
    scores = estimator.validation_scores_
    assert len(scores) == 10
    estimator.set_params(solver="lbfgs").fit(X, y, X_val=X, y_val=y)
    assert len(estimator.history_) == 20
    assert np.isfinite(estimator.history_["validation_score"][-5:]).all()
    assert len(estimator.loss_curve_) == 10
    assert_array_equal(estimator.validation_scores_, scores)


def test_what_is_done_to_a_curve_is_not_done_to_the_estimator(make_classifier, iris):
    X, y = iris
    estimator = make_classifier(warm_start=True, early_stopping=True).fit(X, y)
    curve, scores = estimator.loss_curve_, estimator.validation_scores_
    curve.append(9.0)
    scores.clear()
    assert estimator.history_.shape == (5, 5)
    assert estimator.loss_curve_ == curve[:5]
    assert len(estimator.validation_scores_) == 5
    estimator.fit(X, y)
    assert len(curve) == 6
    assert len(estimator.loss_curve_) == len(estimator.validation_scores_) == 10


# dtype_ and device_.


@pytest.mark.parametrize(("solver", "dtype"), [("adam", "float32"), ("lbfgs", "float64")])
def test_the_type_chosen_by_default(make_classifier, breast_cancer, solver, dtype):
    X, y = breast_cancer
    estimator = make_classifier(solver=solver, device="cpu").fit(X, y)
    assert estimator.dtype_ == getattr(torch, dtype)
    assert next(estimator.module_.parameters()).dtype == estimator.dtype_


def test_a_single_small_batch_is_trained_exactly(make_classifier, iris):
    X, y = iris
    assert make_classifier(device="cpu").fit(X, y).dtype_ == torch.float64
    assert make_classifier(device="cpu", batch_size=50).fit(X, y).dtype_ == torch.float32


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")], ids=repr)
def test_the_device_used(make_classifier, iris, device):
    X, y = iris
    estimator = make_classifier(device=device).fit(X, y)
    assert estimator.device_ == torch.device("cpu")
    assert estimator.get_params()["device"] is device


def test_the_type_stays_while_training_goes_on_unless_another_is_forced(make_classifier, iris):
    X, y = iris
    estimator = make_classifier(dtype="float32").fit(X, y)
    estimator.set_params(dtype="auto").partial_fit(X.astype(np.float32), y)
    assert estimator.dtype_ == torch.float32
    assert estimator.coefs_[0].dtype == np.float64
    assert estimator.set_params(dtype="float64").partial_fit(X, y).dtype_ == torch.float64


# Random states and threads.


@pytest.fixture
def three_threads():
    """Torch's number of threads, changed to one that nothing would set by itself."""
    found = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(found)


def global_random_states():
    """Return NumPy's, Python's and torch's global random states."""
    # The global generator of NumPy is what None stands for in scikit-learn.
    numpy_state = check_random_state(None).get_state()
    return [
        numpy_state[1].tolist(),
        numpy_state[2],
        random.getstate(),
        torch.get_rng_state().tolist(),
    ]


@pytest.mark.parametrize("random_state", [None, 0, np.random.RandomState(3)], ids=type)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_global_state_is_left_as_found(
    make_classifier, iris, three_threads, solver, random_state, early_stopping
):
    X, y = iris
    found = global_random_states()
    estimator = make_classifier(
        solver=solver, random_state=random_state, early_stopping=early_stopping
    )
    estimator.fit(X, y).predict_proba(X)
    if solver != "lbfgs" and not early_stopping:
        estimator.partial_fit(X, y)
    assert global_random_states() == found
    assert torch.get_num_threads() == three_threads
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_threads_are_left_as_found_by_a_fit_that_fails(make_regressor, diabetes, three_threads):
    X, y = diabetes
    with pytest.raises(ValueError, match="Solver produced non-finite"):
        make_regressor(solver="sgd", learning_rate_init=1e35).fit(X, y)
    assert torch.get_num_threads() == three_threads


def test_without_a_random_state_every_fit_differs(make_classifier, iris):
    X, y = iris
    global_generator = check_random_state(None)
    found = global_generator.get_state()
    predictions = []
    for _ in range(2):
        # Were the global generator read, the same state would give the same fit.
        global_generator.set_state(found)
        torch.manual_seed(0)
        predictions.append(make_classifier(random_state=None).fit(X, y).predict_proba(X))
    global_generator.set_state(found)
    assert not np.allclose(predictions[0], predictions[1])


def test_the_same_random_state_gives_the_same_fit(make_classifier, digits):
    X, y = digits
    one, two = (make_classifier().fit(X, y).predict_proba(X) for _ in range(2))
    assert_array_equal(one, two)
    other = make_classifier(random_state=1).fit(X, y).predict_proba(X)
    assert not np.allclose(one, other)


def test_a_generator_is_drawn_from_as_scikit_learn_does(make_classifier, iris):
    X, y = iris
    ours = make_classifier(**EXACT, random_state=np.random.RandomState(5))
    theirs = MLPClassifier((8,), max_iter=5, random_state=np.random.RandomState(5))
    for _ in range(2):
        ours.fit(X, y)
        theirs.fit(X, y)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)


# Going on.


def test_partial_fit_counts(make_classifier, digits):
    X, y = digits
    estimator = make_classifier()
    for call in range(1, 4):
        estimator.partial_fit(X, y, classes=range(10) if call == 1 else None)
        assert estimator.n_iter_ == 1
        assert estimator.t_ == 300 * call
        assert len(estimator.loss_curve_) == call
    assert estimator.loss_ == estimator.loss_curve_[-1]
    assert estimator.best_loss_ == min(estimator.loss_curve_)
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]


def test_partial_fit_knows_classes_that_have_not_come_yet(make_classifier, digits):
    X, y = digits
    estimator = make_classifier().partial_fit(X[y < 3], y[y < 3], classes=np.arange(10))
    assert_array_equal(estimator.classes_, np.arange(10))
    assert estimator.predict_proba(X).shape == (300, 10)
    estimator.partial_fit(X, y)
    assert_array_equal(estimator.classes_, np.arange(10))


def test_warm_start_goes_on_and_fit_starts_anew(make_classifier, iris):
    X, y = iris
    anew = make_classifier().fit(X, y)
    first = anew.loss_curve_[:]
    assert anew.fit(X, y).loss_curve_ == first
    warm = make_classifier(warm_start=True).fit(X, y)
    assert warm.fit(X, y).loss_curve_[:5] == first
    assert warm.n_iter_ == 5
    assert len(warm.loss_curve_) == 10
    assert warm.loss_curve_[5] < first[-1]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_later_fit_does_not_change_what_was_read_before(make_regressor, diabetes, solver):
    X, y = diabetes
    estimator = make_regressor(solver=solver, early_stopping=False).fit(X, y)
    module, prediction = estimator.module_, estimator.predict(X)
    estimator.set_params(random_state=1).fit(X, y)
    inputs = torch.tensor(X, dtype=estimator.dtype_)
    with torch.no_grad():
        assert_allclose(module(inputs)[:, 0], prediction, rtol=1e-5, atol=1e-6)
    assert module is not estimator.module_


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(make_classifier, iris):
    X, y = iris
    estimator = make_classifier().fit(X, y)
    before = estimator.predict_proba(X)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        estimator.fit(np.full_like(X, np.nan), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        estimator.fit(X, y[:-1])
    assert_array_equal(estimator.predict_proba(X), before)


def test_constructor_parameters_are_scikit_learns_and_more(make_classifier, make_regressor):
    for ours, theirs in ((make_classifier(), MLPClassifier()), (make_regressor(), MLPRegressor())):
        names = set(theirs.get_params())
        assert set(ours.get_params()) > names
        defaults = type(ours)().get_params()
        assert {name: defaults[name] for name in names} == theirs.get_params()


def test_positional_parameters_are_scikit_learns(make_classifier, make_regressor):
    classifier, regressor = make_classifier().__class__, make_regressor().__class__
    assert classifier((3,), "tanh").get_params()["activation"] == "tanh"
    parameters = regressor("poisson", (3,), "tanh").get_params()
    assert [parameters[name] for name in ("loss", "hidden_layer_sizes", "activation")] == [
        "poisson",
        (3,),
        "tanh",
    ]
    with pytest.raises(TypeError, match="positional arguments"):
        classifier((3,), "tanh", "adam")
    with pytest.raises(TypeError, match="positional arguments"):
        regressor("poisson", (3,), "tanh", "adam")


def test_no_warning_where_training_converges(make_classifier, iris):
    X, y = iris
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        estimator = make_classifier(max_iter=400, tol=1e-2).fit(X, y)
    assert estimator.n_iter_ < 400


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.append(np.zeros((1, 1))),
        lambda weights: weights.extend([np.zeros((1, 1))]),
        lambda weights: weights.insert(0, np.zeros((1, 1))),
        lambda weights: weights.pop(),
        lambda weights: weights.remove(weights[0]),
        lambda weights: weights.clear(),
        lambda weights: weights.reverse(),
        lambda weights: weights.__delitem__(0),
        lambda weights: weights.__iadd__([np.zeros((1, 1))]),
        lambda weights: weights.__imul__(2),
    ],
)
def test_a_list_of_weights_has_as_many_as_the_network_has_layers(make_regressor, diabetes, change):
    estimator = make_regressor().fit(*diabetes)
    for name in ("coefs_", "intercepts_"):
        with pytest.raises(TypeError, match=f"{name} has an array for each layer of the network"):
            change(getattr(estimator, name))
    assert [len(weights) for weights in (estimator.coefs_, list(estimator.intercepts_))] == [2, 2]
