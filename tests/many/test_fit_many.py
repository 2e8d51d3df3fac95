"""Many fits at once end as each would alone.

Relative 1e-9 in float64: stacked products sum in another order, which grows over the epochs as
it does between scikit-learn and a single fit.
"""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from test_parity import make_task

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor, fit_many
from sklearn_mlp.many.fits import device_of_stack, prepare_together
from sklearn_mlp.many.planning import FitRequest, plan_stacks, why_not_stacked
from sklearn_mlp.solvers.choice import OWN_SOLVERS
from sklearn_mlp.training import native
from sklearn_mlp.training.stack import train_stack

RTOL = 1e-9

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("by_torch"),
]


def make(task, **parameters):
    """Return an unfitted estimator for a task of test_parity.py."""
    is_class = task in ("binary", "multiclass", "multilabel")
    if not is_class:
        loss = "poisson" if task == "poisson" else "squared_error"
        parameters["loss"] = parameters.get("loss") or loss
    estimator = TorchMLPClassifier if is_class else TorchMLPRegressor
    defaults = {"hidden_layer_sizes": (9, 5), "batch_size": 32, "max_iter": 6, "random_state": 0}
    return estimator(**{**defaults, "dtype": "float64", "device": "cpu", **parameters})


def assert_same_fit(mine, alone, rtol=RTOL):
    """Compare everything that a fit leaves behind."""
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(mine, name) == getattr(alone, name)
    for name in ("coefs_", "intercepts_"):
        for one, other in zip(getattr(mine, name), getattr(alone, name), strict=True):
            assert_allclose(one, other, rtol=rtol, atol=rtol * np.abs(other).max())
            assert one.dtype == other.dtype
    for name in ("loss_", "loss_curve_", "best_loss_", "validation_scores_"):
        one, other = getattr(mine, name), getattr(alone, name)
        assert (one is None) == (other is None)
        if other is not None:
            assert_allclose(one, other, rtol=rtol, atol=1e-14)
    assert_allclose(mine.history_.learning_rate, alone.history_.learning_rate)
    if hasattr(alone, "classes_"):
        assert_array_equal(mine.classes_, alone.classes_)


def assert_as_alone(estimators, X, y, indices=None, **options):
    """Fit together and one by one, and compare."""
    alone = [clone(estimator) for estimator in estimators]
    fitted = fit_many(estimators, X, y, indices=indices, **options)
    assert all(one is other for one, other in zip(fitted, estimators, strict=True))
    for place, (mine, other) in enumerate(zip(estimators, alone, strict=True)):
        rows = slice(None) if indices is None else indices[place]
        other.fit(X[rows], y[rows])
        assert_same_fit(mine, other)
    return fitted


TASKS = ("binary", "multiclass", "multilabel", "regression", "multioutput", "poisson")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "options",
    [
        {"solver": "adam", "activation": "relu"},
        {"solver": "sgd", "activation": "tanh", "early_stopping": True, "max_iter": 12},
        {"solver": "sgd", "nesterovs_momentum": False, "activation": "logistic", "tol": 0.05},
    ],
    ids=["adam", "early_stopping", "sgd"],
)
def test_each_ends_as_it_would_alone(task, options):
    X, y = make_task(task)
    numbers = [
        {"alpha": 0.0, "learning_rate_init": 0.01},
        {"alpha": 0.3, "learning_rate_init": 0.002, "n_iter_no_change": 1, "random_state": 3},
        {"alpha": 1e-4, "momentum": 0.5, "beta_1": 0.8, "epsilon": 1e-6, "max_iter": 3},
        {"alpha": 1e-2, "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 1.0},
    ]
    assert_as_alone([make(task, **{**options, **one}) for one in numbers], X, y)


def test_folds_of_unequal_size_and_seeds_of_all_kinds():
    X, y = make_task("multiclass")
    folds = [np.arange(0, 120), np.arange(31, 152), np.arange(30, 150)]
    seeds = [0, 1, np.random.RandomState(5)]
    estimators = [make("multiclass", random_state=seed) for seed in seeds for _ in folds]
    estimators = [clone(estimator) for estimator in estimators]
    assert_as_alone(estimators, X, y, indices=folds * 3)


def test_a_fold_that_lacks_a_class_has_fewer_outputs():
    X, y = make_task("multiclass")
    few = np.flatnonzero(y < 7)
    rows = [few, np.arange(len(few))]
    mine, _ = assert_as_alone([make("multiclass") for _ in rows], X, y, indices=rows)
    assert mine.n_outputs_ == 7


def test_schedules_that_set_a_rate_per_step():
    X, y = make_task("regression")
    names = ["cosine", "step", "exponential", "one_cycle", "constant"]
    estimators = [make("regression", learning_rate=name, warmup=2) for name in names]
    assert all(why_not_stacked(estimator) is None for estimator in estimators)
    assert_as_alone(estimators, X, y)


@pytest.mark.parametrize("solver", sorted(OWN_SOLVERS))
@pytest.mark.parametrize("gradient_clip", [None, 0.05])
def test_all_first_order_solvers(solver, gradient_clip):
    X, y = make_task("multiclass")
    numbers = [
        {"alpha": 0.0, "learning_rate_init": 0.01},
        {"alpha": 0.3, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-6, "max_iter": 3},
        {"alpha": 0.1, "learning_rate": "cosine", "momentum": 0.3, "random_state": 3},
    ]
    shared = {"solver": solver, "gradient_clip": gradient_clip}
    estimators = [make("multiclass", **shared, **one) for one in numbers]
    assert all(why_not_stacked(estimator) is None for estimator in estimators)
    fitted = assert_as_alone(estimators, X, y)
    # The memory is the solver's, too: training goes on as it would have.
    alone = make("multiclass", **shared, **numbers[1]).fit(X, y)
    assert_same_fit(fitted[1].partial_fit(X, y), alone.partial_fit(X, y))


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("weight_averaging", ["ema", "swa"])
def test_averages_of_weights(weight_averaging, early_stopping):
    X, y = make_task("regression")
    numbers = [
        {"swa_start": 0.2, "ema_decay": 0.9, "max_iter": 4},
        {"swa_start": 0.5, "ema_decay": 0.5, "alpha": 0.1},
        # Ends before its average of epochs has begun.
        {"swa_start": 0.9, "max_iter": 12, "n_iter_no_change": 2, "tol": 1.0},
    ]
    shared = {"weight_averaging": weight_averaging, "early_stopping": early_stopping}
    estimators = [make("regression", **{**shared, **one}) for one in numbers]
    assert all(why_not_stacked(estimator) is None for estimator in estimators)
    fitted = assert_as_alone(estimators, X, y)
    if not early_stopping:
        alone = make("regression", **shared, **numbers[1]).fit(X, y)
        assert_same_fit(fitted[1].partial_fit(X, y), alone.partial_fit(X, y))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_skipped_layers(dropout):
    X, y = make_task("regression")
    widths = {"hidden_layer_sizes": (8, 8, 8), "residual": True, "dropout": dropout}
    estimators = [make("regression", **widths, random_state=seed) for seed in range(3)]
    assert all(why_not_stacked(estimator) is None for estimator in estimators)
    assert_as_alone(estimators, X, y)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_dropout_of_features(early_stopping):
    X, y = make_task("multiclass")
    rates = [{"input_dropout": 0.3}, {"input_dropout": 0.1, "dropout": 0.2}, {"dropout": 0.4}]
    rows = [np.arange(120), np.arange(30, 150)]
    estimators = [
        make("multiclass", **one, early_stopping=early_stopping) for one in rates for _ in rows
    ]
    assert all(why_not_stacked(estimator) is None for estimator in estimators)
    assert_as_alone(estimators, X, y, indices=rows * 3)


def test_time_is_limited_for_each():
    X, y = make_task("regression")
    limited, other = make("regression", max_time=1e-9), make("regression", alpha=1)
    fit_many([limited, other], X, y)
    assert (limited.n_iter_, other.n_iter_) == (1, 6)


def test_weights_of_samples(breast_cancer):
    X, y = breast_cancer
    weight = np.random.RandomState(0).randint(0, 3, len(y))
    estimators = [make("binary", alpha=alpha, random_state=s) for alpha in (0, 1) for s in (0, 1)]
    alone = [clone(estimator).fit(X, y, weight) for estimator in estimators]
    for mine, other in zip(fit_many(estimators, X, y, sample_weight=weight), alone, strict=True):
        assert_same_fit(mine, other)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_class_weights_dropout_and_smoothing(task):
    X, y = make_task(task)
    several = [None, "balanced"] if task == "multilabel" else [None, "balanced", {0: 3.0}]
    numbers = [
        {"class_weight": weights, "dropout": dropout, "alpha": alpha}
        for weights in several
        for dropout, alpha in [(0.0, 0.0), (0.4, 0.1), ([0.0, 0.5], 0.1)]
    ]
    estimators = [make(task, **one, early_stopping=True) for one in numbers]
    estimators += [
        make(task, **one, early_stopping=stops, label_smoothing=smoothing)
        for one in numbers
        for stops, smoothing in ((False, 0.1), (False, 0.3), (True, 0.1), (True, 0.2))
    ]
    assert all(why_not_stacked(estimator) is None for estimator in estimators)
    assert_as_alone(estimators, X, y)


REGRESSIONS = [
    {"loss": "absolute_error", "activation": "gelu", "scale_target": "standard"},
    {"loss": "huber", "activation": ["elu", "softplus"]},
    {"loss": "quantile", "quantile": [0.1, 0.5, 0.9], "dropout": 0.2},
    {"loss": "gaussian_nll", "activation": "silu"},
    {"loss": "poisson", "weight_init": "kaiming"},
    {"loss": "gamma", "activation": "leaky_relu"},
]


@pytest.mark.parametrize("options", REGRESSIONS, ids=lambda options: options["loss"])
def test_all_losses_and_activations_of_a_regression(options):
    X, y = make_task("poisson")
    y = y + 1.0
    estimators = [
        make("regression", **{"loss": None, **options, "alpha": alpha, "early_stopping": True})
        for alpha in (0.0, 0.1)
    ]
    assert all(why_not_stacked(estimator) is None for estimator in estimators)
    assert_as_alone(estimators, X, y)


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "focal"},
        {"loss": "squared_error", "output_activation": "tanh"},
        {"output_activation": "logistic", "label_smoothing": 0.2},
    ],
    ids=str,
)
def test_all_losses_of_a_classification(options):
    X, y = make_task("multiclass")
    assert_as_alone([make("multiclass", **options, alpha=alpha) for alpha in (0, 1)], X, y)
    columns = np.column_stack([y % 3, y])
    estimators = [make("multiclass", **options, alpha=alpha) for alpha in (0, 1)]
    fit_many(estimators, X, columns)
    alone = clone(estimators[1]).fit(X, columns)
    assert_allclose(estimators[1].loss_curve_, alone.loss_curve_, rtol=RTOL)


def test_weights_of_0_leave_out_whole_batches():
    X, y = make_task("regression")
    weight = np.zeros(len(y))
    weight[::40] = 2.0
    estimators = [make("regression", batch_size=10, alpha=alpha) for alpha in (0.0, 0.1)]
    alone = [clone(estimator).fit(X, y, weight) for estimator in estimators]
    for mine, other in zip(fit_many(estimators, X, y, sample_weight=weight), alone, strict=True):
        assert_same_fit(mine, other)


def test_processes_give_the_same():
    X, y = make_task("multiclass")
    estimators = [make("multiclass", alpha=alpha) for alpha in (0.1, 0.2, 0.3)]
    assert_as_alone(estimators, X, y, n_jobs=2)


def test_training_goes_on_after_a_stacked_fit():
    X, y = make_task("binary")
    mine, other = make("binary"), make("binary")
    fit_many([mine, make("binary", alpha=1)], X, y)
    assert_same_fit(mine.partial_fit(X, y), other.fit(X, y).partial_fit(X, y))


def test_what_cannot_be_stacked_is_fitted_alone(capsys):
    X, y = make_task("multiclass")
    estimators = [
        make("multiclass"),
        make("multiclass", solver="lbfgs"),
        make("multiclass", backend="skorch"),
        make("multiclass", alpha=1),
    ]
    alone = [clone(estimator).fit(X, y) for estimator in estimators]
    fit_many(estimators, X, y, verbose=1)
    for mine, other in zip(estimators, alone, strict=True):
        for one, expected in zip(mine.coefs_, other.coefs_, strict=True):
            assert_allclose(one, expected, rtol=RTOL, atol=1e-12)
    assert capsys.readouterr().out.splitlines() == [
        "fit_many: estimator 1 is not stacked: solver='lbfgs' is trained one by one: "
        "each of its line searches asks for points of its own.",
        "fit_many: estimator 2 is not stacked: backend='skorch' is trained one by one: "
        "skorch's loop trains one network.",
    ]


def test_a_generator_that_several_draw_from_is_drawn_from_in_turn():
    X, y = make_task("binary")
    shared, again = np.random.RandomState(1), np.random.RandomState(1)
    mine = fit_many([make("binary", random_state=shared) for _ in range(2)], X, y)
    for one in mine:
        assert_same_fit(one, make("binary", random_state=again).fit(X, y))


def test_one_that_diverges_leaves_the_others_alone():
    X, y = make_task("regression")
    good, bad = make("regression"), make("regression", learning_rate_init=1e200, solver="sgd")
    other = make("regression", solver="sgd")
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        fit_many([good, bad, other], X, y)
    assert_same_fit(other, make("regression", solver="sgd").fit(X, y))
    assert_same_fit(good, make("regression").fit(X, y))
    assert not hasattr(bad, "module_")


def raise_key_error(*arguments):
    raise KeyError("no such score")


class FailsInEpoch3:
    """A scorer that works for a while, and for one of the estimators no longer than that."""

    calls = 0

    def __call__(self, estimator, X, y):
        self.calls += estimator.alpha == 1
        if estimator.alpha == 1 and self.calls >= 3:
            raise RuntimeError("alpha is 1")
        return estimator.score(X, y)


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize(
    ("failing", "error"),
    [
        # In the network's making, in its first epoch, and in what fits it alone.
        ({"weight_init": raise_key_error}, ValueError),
        ({"scoring": raise_key_error, "early_stopping": True}, KeyError),
        ({"scoring": "roc_auc", "early_stopping": True}, ValueError),
        ({"loss": raise_key_error}, KeyError),
        ({"device": "abacus"}, ValueError),
        ({"hidden_layer_sizes": (0,)}, ValueError),
        ({"hidden_layer_sizes": 2.5}, ValueError),
        ({"batch_size": "all"}, ValueError),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_those_that_fail_leave_the_others_fitted(failing, error, n_jobs):
    X, y = make_task("multiclass")
    good = [make("multiclass"), make("multiclass", solver="lbfgs"), make("multiclass", alpha=1)]
    bad = [make("multiclass", **failing, alpha=alpha) for alpha in (0, 1)]
    alone = [clone(estimator).fit(X, y) for estimator in good]
    with pytest.raises(error) as raised:
        fit_many([good[0], *bad, *good[1:]], X, y, n_jobs=n_jobs)
    with pytest.raises(error) as expected:
        clone(bad[0]).fit(X, y)
    # A function has another address in another process.
    told = [re.sub(r" at 0x\w+", "", str(one.value)) for one in (raised, expected)]
    assert told[0] == told[1]
    for mine, other in zip(good, alone, strict=True):
        assert_allclose(mine.predict_proba(X), other.predict_proba(X), rtol=RTOL)
    assert not any(hasattr(estimator, "module_") for estimator in bad)


def test_a_stack_that_fails_is_fitted_one_by_one():
    X, y = make_task("binary")
    # A generator must be drawn from as if there had been no stack.
    seeds = [0, np.random.RandomState(5), np.random.RandomState(6)]
    settings = {"scoring": FailsInEpoch3(), "early_stopping": True}
    estimators = [
        make("binary", **settings, random_state=seed, alpha=alpha)
        for seed, alpha in zip(seeds, (0, 1, 2), strict=True)
    ]
    alone = [clone(estimator) for estimator in estimators]
    with pytest.raises(RuntimeError, match="alpha is 1"):
        fit_many(estimators, X, y)
    assert [hasattr(estimator, "module_") for estimator in estimators] == [True, False, True]
    for place in (0, 2):
        assert_same_fit(estimators[place], alone[place].fit(X, y))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_interrupt_is_no_failure(solver):
    X, y = make_task("binary")

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_many([make("binary", solver=solver, weight_init=interrupt), make("binary")], X, y)


def test_weights_of_0_in_the_part_held_out():
    X, y = make_task("regression")
    estimators = [make("regression", early_stopping=True, alpha=alpha) for alpha in (0, 1)]
    plain = make("regression")
    weight = np.zeros(len(y))
    weight[0] = 1
    message = "at least one non-zero number among the .* samples held out for validation"
    with pytest.raises(ValueError, match=message):
        fit_many([*estimators, plain], X, y, sample_weight=weight)
    assert hasattr(plain, "module_")


def test_float32_stays_close():
    X, y = make_task("multiclass")
    estimators = [make("multiclass", dtype="float32", alpha=alpha) for alpha in (0.0, 0.1)]
    for mine in fit_many(estimators, X, y):
        # The rounding of float32 over thirty steps.
        assert_same_fit(mine, clone(mine).fit(X, y), rtol=1e-4)
        assert mine.dtype_ == torch.float32


def test_errors():
    X, y = make_task("binary")
    with pytest.raises(TypeError, match=r"fit_many fits TorchMLPClassifier and .*LogisticRegr"):
        fit_many([LogisticRegression()], X, y)
    one = make("binary")
    with pytest.raises(ValueError, match="the same object twice"):
        fit_many([one, one], X, y)
    with pytest.raises(ValueError, match="indices has 1 entries for 2 estimators"):
        fit_many([one, make("binary")], X, y, indices=[[0, 1]])
    with pytest.raises(ValueError, match="The 'alpha' parameter of TorchMLPClassifier"):
        fit_many([make("binary", alpha=-1), one], X, y)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fit_many([one], np.full_like(X, np.nan), y)
    with pytest.raises(ValueError, match=r"max_memory=2000 allows 2000 bytes .* raise max_memory"):
        fit_many([one], X, y, max_memory=2000)


@pytest.mark.parametrize(
    "rows",
    [[], [0, 1000], [-151], [0.0, 1.0], [[0, 1]], 5, ["a"], slice(9), [False] * 150, [True] * 3],
    ids=str,
)
def test_indices_that_are_no_rows(rows):
    X, y = make_task("binary", 150)
    sentence = (
        r"^indices\[1\] must be numbers of rows of X, 0 to 149, or a mask of its 150 rows, and "
        r"name at least one, got an array of shape \(.*\) and type .*: "
    )
    estimators = [make("binary"), make("binary", alpha=0.5)]
    with pytest.raises(ValueError, match=sentence):
        fit_many(estimators, X, y, indices=[[0, 1], rows])
    assert not hasattr(estimators[0], "module_")


def test_indices_may_be_a_mask_or_count_from_the_end():
    X, y = make_task("binary", 150)
    mask = np.arange(150) >= 100
    one, other, third = fit_many(
        [make("binary") for _ in range(3)], X, y, indices=[mask, range(-50, 0), range(100, 150)]
    )
    assert one.t_ == other.t_
    assert_same_fit(one, other)
    assert_same_fit(one, third)


def test_stacks_are_bounded_and_shared_out_evenly():
    estimators = [make("binary", alpha=alpha) for alpha in range(12)]
    requests = [FitRequest(one, fold, 150, 64, 1, 64) for fold in range(5) for one in estimators]
    stacks = plan_stacks(requests, 1, 0.5)
    assert sorted(place for stack in stacks for place in stack) == list(range(60))
    # Two processes get as many networks each.
    halves = plan_stacks(requests, 2, 0.5)
    assert sum(map(len, halves)) == 60
    assert sum(map(len, halves[::2])) == sum(map(len, halves[1::2]))
    needed = requests[0].footprint[1]
    assert max(map(len, plan_stacks(requests, 1, 3.5 * needed))) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array([0.1, 0.5]), np.array([0.1, 0.5 + 1e-10])),
        (np.linspace(0.1, 0.9, 2000), np.r_[0.05, np.linspace(0.1, 0.9, 2000)[1:]]),
        (np.arange(2000) / 2000, np.where(np.arange(2000) == 999, 0.4996, np.arange(2000) / 2000)),
        (pd.Series([0.1, 0.5]), pd.Series([0.1, 0.5 + 1e-10])),
        ([0.1, 0.5], [0.1, np.nextafter(0.5, 1)]),
        (np.array([0.1, 0.5]), np.array([[0.1], [0.5]])),
        (0.5, (0.5,)),
    ],
    ids=["array", "long", "longer", "series", "list", "shape", "number"],
)
def test_settings_are_compared_by_value(one, other):
    estimators = [make("regression", loss="quantile", quantile=value) for value in (one, other)]
    keys = [FitRequest(each, 0, 100, 5, 1, 5).key for each in estimators]
    assert keys[0] != keys[1]
    assert keys[0] == FitRequest(clone(estimators[0]), 0, 100, 5, 1, 5).key


def test_quantiles_that_print_alike_are_trained_apart():
    X, y = make_task("regression")
    levels = [np.array([0.11, 0.5]), np.array([0.14, 0.5])]
    with np.printoptions(precision=1):
        assert repr(levels[0]) == repr(levels[1])
        assert_as_alone([make("regression", loss="quantile", quantile=q) for q in levels], X, y)


@pytest.fixture
def stacks(monkeypatch):
    """Return the sizes of the stacks that are trained."""
    sizes = []

    def record(fits):
        sizes.append(len(fits))
        train_stack(fits)

    monkeypatch.setattr(native, "train_stack", record)
    return sizes


def test_equal_fits_make_one_stack(stacks, monkeypatch):
    monkeypatch.setenv("SKLEARN_MLP_COMPILED", "0")
    X, y = make_task("binary")
    fits = fit_many([make("binary", random_state=seed) for seed in range(3)], X, y)
    assert [clf.engine_ for clf in fits] == ["closed_form"] * 3
    assert stacks == [3]


@pytest.mark.parametrize("density", [0.05, 0.3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"early_stopping": True, "solver": "sgd", "max_iter": 12},
        {"dropout": 0.2, "residual": True, "hidden_layer_sizes": (6, 6), "activation": "gelu"},
        {"input_dropout": 0.1},
        {"hidden_layer_sizes": ()},
    ],
    ids=["adam", "early_stopping", "dropout", "input_dropout", "linear"],
)
def test_sparse_samples_are_stacked(options, density, stacks):
    random_state = np.random.RandomState(1)
    X = scipy.sparse.random_array((120, 40), density=density, random_state=2, format="csr")
    y = X @ random_state.normal(size=40) + 0.1 * random_state.normal(size=120)
    # Some see the same samples in the same order, some do not.
    estimators = [
        make("regression", alpha=alpha, random_state=seed, **options)
        for seed in (0, 1)
        for alpha in (1e-4, 0.1)
    ]
    rows = [np.arange(100), np.arange(20, 120)]
    assert_as_alone(estimators, X, y, [rows[place // 3] for place in range(4)])
    assert stacks == [4]


def test_sparse_and_dense_batches_are_trained_apart(stacks):
    # One set of samples has just fewer numbers than sparse products pay for, the other just more.
    numbers = np.eye(20).repeat(4, axis=0)
    numbers[:40, 3:5] = 0.5
    X = scipy.sparse.csr_array(numbers)
    y = X @ np.arange(20.0)
    estimators = [make("regression", random_state=seed) for seed in range(4)]
    rows = [np.arange(40), np.arange(40), np.arange(40, 80), np.arange(40, 80)]
    assert_as_alone(estimators, X, y, rows)
    assert stacks == [2, 2]


def test_samples_are_checked_once_and_shared():
    X, y = make_task("multiclass")
    fits = prepare_together([make("multiclass", alpha=a) for a in (0, 1)], X, y, None)
    assert fits[0].data.inputs.source.data_ptr() == fits[1].data.inputs.source.data_ptr()
    X = scipy.sparse.csr_array(X)
    estimators = [make("multiclass", alpha=a, dtype="float32") for a in (0, 1)]
    fits = prepare_together(estimators, X, y, None)
    assert fits[0].data.inputs.identity == fits[1].data.inputs.identity


def test_on_several_gpus_stacks_go_to_each_in_turn():
    assert [device_of_stack("auto", stack, 2) for stack in range(3)] == [
        "cuda:0",
        "cuda:1",
        "cuda:0",
    ]
    assert device_of_stack("cuda", 5, 4) == "cuda:1"
    # One named by the user stays, and so does any where there is no choice.
    assert device_of_stack("cuda:0", 1, 2) == "cuda:0"
    assert device_of_stack("cpu", 1, 2) == "cpu"
    assert device_of_stack("auto", 1, 1) == "auto"
