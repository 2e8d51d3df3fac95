"""The solvers: each takes the steps of torch's optimizer of that name."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
import torch
from configs import CONFIG
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_mlp.contract.config import DECOUPLED_SOLVERS
from sklearn_mlp.contract.state import TrainingState
from sklearn_mlp.network.initial_weights import draw_initial_weights
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.solvers.choice import make_solver
from sklearn_mlp.solvers.torch_optim import TORCH_SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NAMES = sorted(TORCH_SOLVERS)
if not hasattr(torch.optim, "Muon"):
    NAMES.remove("muon")

# What else is tried: torch's own parameters, for which its classes are taken, and classes.
ALL = [
    *((name, None) for name in NAMES),
    *((name, {"foreach": False}) for name in NAMES if name != "muon"),
    ("rmsprop", {"momentum": 0.9, "centered": True, "alpha": 0.9}),
    ("adamw", {"amsgrad": True}),
    (torch.optim.Adamax, None),
    (torch.optim.SGD, {"momentum": 0.8, "weight_decay": 0.1}),
    # Has a memory of another shape than the parameters.
    (torch.optim.Adafactor, {"weight_decay": 0.01}),
]


class Forgetful(torch.optim.Optimizer):
    """A user's own: keeps plain numbers, and puts new tensors in place of old ones."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for value in group["params"]:
                state = self.state[value]
                state["step"] = state.get("step", 0) + 1
                state["mean"] = 0.9 * state.get("mean", 0) + value.grad
                value.sub_(group["lr"] / state["step"] * state["mean"])


@pytest.fixture
def network():
    """A network of two layers in float64, its parameters and gradients as vectors."""
    network = MLP((4, 6, 3), "tanh", torch.float64)
    draw_initial_weights(network, np.random.RandomState(0))
    parameters = ParameterVector.of(network)
    return network, parameters, parameters.empty_like()


def optimizers_of_torch(solver, settings, weights, biases):
    """Return torch's optimizers as a user would make them, by hand, on single layers."""
    decay = 0.3 if solver in DECOUPLED_SOLVERS else 0.0
    settings = {"lr": 0.01, **(settings or {})}
    if not isinstance(solver, str):
        return [solver([*weights, *biases], **settings)]
    groups = [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]
    if solver == "muon":
        muon = torch.optim.Muon(
            weights, lr=0.01, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
        )
        return [muon, torch.optim.AdamW(groups[1:], lr=0.01, betas=(0.8, 0.99), eps=1e-6)]
    if solver in ("adamw", "nadam", "radam"):
        settings |= {"betas": (0.8, 0.99), "eps": 1e-6}
    return [getattr(torch.optim, TORCH_SOLVERS[solver])(groups, **settings)]


@pytest.mark.parametrize("clip", [None, 2.0])
@pytest.mark.parametrize(("solver", "settings"), [*ALL, (Forgetful, None)], ids=str)
def test_the_steps_are_torchs(network, solver, settings, clip):
    network, parameters, gradient = network
    config = replace(
        CONFIG,
        solver=solver,
        solver_params=settings,
        alpha=0.3,
        beta_1=0.8,
        beta_2=0.99,
        epsilon=1e-6,
        gradient_clip=clip,
    )
    weights = [weight.clone() for weight in parameters.weights]
    biases = [bias.clone() for bias in parameters.biases]
    theirs = optimizers_of_torch(solver, settings, weights, biases)
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        ours = make_solver(parameters, gradient, config, TrainingState())
        for step in range(7):
            values = torch.randn(gradient.values.shape, generator=generator, dtype=torch.float64)
            # Some are shorter than the longest allowed, some longer.
            gradient.values.copy_(values / (step + 1))
            views = zip([*weights, *biases], [*gradient.weights, *gradient.biases], strict=True)
            for mine, other in views:
                mine.grad = other.clone()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_([*weights, *biases], clip)
            for weight in weights:
                weight.grad.add_(weight, alpha=0.05)
            ours.update(0.01, 0.05)
            for optimizer in theirs:
                optimizer.step()
    assert ours.state.step == 7
    # Clipping sums the squares in another order, and muon then rounds to bfloat16; of nadam torch
    # keeps a number in float32.
    rtol = 1e-2 if clip and solver == "muon" else 1e-7 if solver == "nadam" else 1e-10
    pairs = zip([*weights, *biases], [*parameters.weights, *parameters.biases], strict=True)
    for theirs_value, value in pairs:
        assert_allclose(value, theirs_value, rtol=rtol, atol=rtol / 100)


@pytest.mark.parametrize(("solver", "settings"), [*ALL, (Forgetful, None)], ids=str)
def test_partial_fit_goes_on_in_every_way(make_classifier, digits, solver, settings):
    X, y = digits[0][:100], digits[1][:100]
    options = {"solver": solver, "solver_params": settings, "batch_size": 40, "shuffle": False}
    schedule = {"learning_rate": "cosine", "max_iter": 6, "learning_rate_init": 0.01}
    settings = {**options, **schedule, "gradient_clip": 1.0, "dtype": "float64"}
    whole = make_classifier(n_iter_no_change=99, **settings).fit(X, y)
    parts = make_classifier(**settings)
    for epoch in range(6):
        parts.partial_fit(X, y, classes=np.unique(y))
        if epoch == 2:
            parts = pickle.loads(pickle.dumps(parts))
        if epoch == 3:
            # Each backend goes on from what the other has left.
            parts.backend = "skorch" if parts.backend == "torch" else "torch"
    # The backends round in other places, and muon takes its products in bfloat16.
    assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-3 if solver == "muon" else 1e-9)
    assert parts._state.optimizer.step == 18


@pytest.mark.parametrize("solver", NAMES)
def test_it_learns(make_regressor, diabetes, solver):
    rate = 0.1 if solver in ("adagrad", "radam") else 0.01
    estimator = make_regressor(solver=solver, learning_rate_init=rate, max_iter=30)
    assert estimator.fit(*diabetes).score(*diabetes) > 0.4


def test_decoupled_decay_is_no_part_of_the_loss(make_regressor, diabetes):
    settings = {"dtype": "float64", "shuffle": False, "learning_rate_init": 1e-12}
    losses = [
        make_regressor(solver=solver, alpha=alpha, **settings).partial_fit(*diabetes).loss_
        for solver, alpha in (("adamw", 0.0), ("adamw", 100.0), ("adam", 100.0))
    ]
    assert_allclose(losses[0], losses[1], rtol=1e-9)
    assert losses[2] > losses[0] + 1


def test_an_unreachable_clip_changes_nothing(make_classifier, digits):
    plain, clipped = make_classifier(), make_classifier(gradient_clip=1e6)
    assert_array_equal(plain.fit(*digits).coefs_[0], clipped.fit(*digits).coefs_[0])


def test_a_clip_bounds_the_step(make_regressor, diabetes):
    X, y = diabetes
    settings = {"solver": "sgd", "momentum": 0, "alpha": 0, "batch_size": 442}
    estimator = make_regressor(gradient_clip=0.25, learning_rate_init=2.0, **settings)
    estimator.set_params(hidden_layer_sizes=(), shuffle=False, dtype="float64").partial_fit(X, y)
    before = np.append(estimator.coefs_[0][:, 0], estimator.intercepts_[0])
    estimator.partial_fit(X, 1000 * y)
    after = np.append(estimator.coefs_[0][:, 0], estimator.intercepts_[0])
    assert_allclose(np.linalg.norm(after - before), 0.5, rtol=1e-6)


def test_another_solver_begins_with_a_memory_of_its_own(make_classifier, digits):
    estimator = make_classifier(solver="adamw", batch_size=100)
    classes = np.unique(digits[1])
    for changes, steps in (
        ({}, 3),
        ({}, 6),
        ({"solver_params": {"amsgrad": True}}, 3),
        ({"solver": "sgd", "solver_params": None}, 3),
        ({"solver": torch.optim.NAdam}, 3),
        ({"alpha": 0.1}, 6),
    ):
        estimator.set_params(**changes).partial_fit(*digits, classes=classes)
        assert estimator._state.optimizer.step == steps


class WithRequiredMomentum(torch.optim.SGD):
    """An optimizer that cannot be made without a parameter of its own."""

    def __init__(self, params, *, momentum, **settings):
        super().__init__(params, momentum=momentum, **settings)


@pytest.mark.parametrize(
    ("parameters", "kind", "sentence"),
    [
        ({"solver": int}, TypeError, "subclass of torch.optim.Optimizer, got <class 'int'>"),
        ({"solver": "sgd", "solver_params": {"dampening": 1}}, ValueError, "solver='sgd', which"),
        ({"solver": "adamw", "solver_params": {"lr": 1}}, ValueError, "instead: learning_ra"),
        ({"solver": "adamw", "solver_params": {"weight_decay": 1}}, ValueError, "instead: alpha"),
        (
            {"solver": torch.optim.SGD, "solver_params": {"lr": 1}},
            ValueError,
            "learning_rate_init",
        ),
        ({"solver": "radam", "solver_params": {"speed": 1}}, ValueError, "unexpected keyword"),
        (
            {"solver": torch.optim.SGD, "solver_params": {"momentum": -1}},
            ValueError,
            "cannot be used with solver=.*SGD.*Invalid momentum",
        ),
        (
            {"solver": torch.optim.LBFGS},
            ValueError,
            r"^solver=<.*LBFGS'> must take its steps by dense gradients and without a closure, "
            r"which would evaluate the loss again: .* argument: 'closure'",
        ),
        (
            {"solver": torch.optim.LBFGS, "solver_params": {"max_iter": 3}},
            ValueError,
            "^solver=<.*LBFGS'> must take its steps by dense gradients and without a closure",
        ),
        (
            {"solver": torch.optim.SparseAdam},
            ValueError,
            "^solver=<.*SparseAdam'> must take its steps by .* does not support dense gradients",
        ),
        (
            {"solver": WithRequiredMomentum},
            ValueError,
            "^solver=<.*> must take parameters and lr, and what else it needs by solver_params: "
            ".* argument: 'momentum'",
        ),
        (
            {"solver": "adamw", "solver_params": {"capturable": True}, "device": "cpu"},
            ValueError,
            r"^solver_params={'capturable': True} cannot be used with solver='adamw': ",
        ),
    ],
    ids=str,
)
def test_solvers_that_cannot_be(make_classifier, digits, parameters, kind, sentence):
    with pytest.raises(kind, match=sentence):
        make_classifier(**parameters).fit(*digits)


def test_a_clip_is_not_for_lbfgs(make_classifier, digits):
    with pytest.raises(ValueError, match=r"gradient_clip=1\.0 cannot be used with solver='lbfgs'"):
        make_classifier(solver="lbfgs", gradient_clip=1.0, backend="torch").fit(*digits)


@pytest.mark.parametrize("averaging", [None, "ema"])
@pytest.mark.parametrize(
    ("solver", "settings"),
    [("adam", None), ("sgd", None), ("rmsprop", {"momentum": 0.9}), (torch.optim.Adamax, None)],
    ids=str,
)
def test_partial_fit_goes_from_sparse_to_dense_samples(
    make_classifier, solver, settings, averaging
):
    # So sparse that the first layer is multiplied as it is, its weight transposed in memory.
    random = np.random.RandomState(0)
    X, y = (random.rand(120, 400) < 0.01) * 1.0, random.randint(0, 3, 120)
    options = {"solver": solver, "solver_params": settings, "weight_averaging": averaging}
    options |= {"shuffle": False, "batch_size": 40, "dtype": "float64"}
    dense = make_classifier(learning_rate_init=0.05, **options)
    mixed = make_classifier(learning_rate_init=0.05, **options)
    for samples in (X, scipy.sparse.csr_matrix(X), scipy.sparse.csr_matrix(X), X, X):
        dense.partial_fit(X, y, classes=[0, 1, 2])
        mixed.partial_fit(samples, y, classes=[0, 1, 2])
    # The products add in other orders.
    assert_allclose(mixed.loss_curve_, dense.loss_curve_, rtol=1e-9)
    assert_allclose(mixed.coefs_[0], dense.coefs_[0], rtol=1e-7, atol=1e-9)
