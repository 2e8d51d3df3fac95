"""Fits and predictions within what a caller has switched in torch."""

import copy
import linecache
import os
import pickle
import sys
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sklearn_mlp import BatchedGridSearchCV, TorchMLPClassifier, TorchMLPRegressor, fit_many
from sklearn_mlp.machine import isolation, random_numbers, threads
from sklearn_mlp.machine.isolation import isolated
from sklearn_mlp.training import randomness

pytestmark = pytest.mark.filterwarnings(
    f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning"
)

X = np.random.default_rng(3).normal(size=(60, 4))
Y = np.arange(60) % 3


class WithDropout(nn.Module):
    """A module of a user's that draws from torch's global generator."""

    def __init__(self, n_features_in, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features_in, 6), nn.Tanh(), nn.Dropout(0.2), nn.Linear(6, n_outputs)
        )

    def forward(self, inputs):
        return self.layers(inputs)


@contextmanager
def switched(set_to, value, before):
    set_to(value)
    try:
        yield
    finally:
        set_to(before)


MODES = {
    "no_grad": torch.no_grad,
    "set_grad_enabled": lambda: switched(torch.set_grad_enabled, False, True),
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "float64": lambda: switched(torch.set_default_dtype, torch.float64, torch.float32),
    "device": lambda: switched(torch.set_default_device, "meta", None),
    "deterministic": lambda: switched(torch.use_deterministic_algorithms, True, False),
    "anomalies": lambda: torch.autograd.set_detect_anomaly(True),
}

NETWORKS = {
    "closed form": {},
    "float64": {"dtype": "float64"},
    "mini-batches": {"dtype": "float32", "batch_size": 16, "dropout": 0.2},
    "skorch": {"backend": "skorch"},
    "autograd": {"normalization": "batch"},
    "in order": {"normalization": "layer", "shuffle": False, "batch_size": 16},
    "torch's solver": {"solver": "adamw"},
    "bfloat16": {"dtype": "bfloat16"},
    "lbfgs": {"solver": "lbfgs"},
    "activation": {"activation": "gelu"},
    "early stopping": {"early_stopping": True, "scoring": "neg_log_loss"},
    "module": {"module": WithDropout},
}


def modes_now():
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(),
        torch.get_default_device(),
    )


def use(samples, settings):
    """Fit, predict and copy; return the numbers, and what can be trained on."""
    sizes = {} if "module" in settings else {"hidden_layer_sizes": (6,)}
    model = TorchMLPClassifier(max_iter=3, random_state=0, **sizes, **settings).fit(samples, Y)
    can_go_on = not (settings.get("early_stopping") or settings.get("solver") == "lbfgs")
    if can_go_on:
        model.partial_fit(samples, Y)
    numbers = [model.predict(samples), model.predict_proba(samples), model.score(samples, Y)]
    numbers.append(model.input_gradients(samples))
    if "module" not in settings:
        numbers.append(model.hidden_activations(samples))
        model.coefs_ = model.coefs_
    models = [model, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    return numbers, models, can_go_on


def go_on(models, samples, can_go_on):
    """Train on, and by autograd; return the numbers."""
    numbers = []
    for model in models:
        assert not any(parameter.is_inference() for parameter in model.module_.parameters())
        if can_go_on:
            model.partial_fit(samples, Y)
        model.module_(torch.ones(1, 4, dtype=model.dtype_, device="cpu")).sum().backward()
        numbers.append(model.predict_proba(samples))
    return numbers


@pytest.mark.parametrize("settings", NETWORKS.values(), ids=NETWORKS)
def test_the_numbers_are_those_without_and_training_goes_on_outside(settings):
    samples = torch.from_numpy(X) if "dtype" in settings else X
    numbers, models, can_go_on = use(samples, settings)
    want = [*numbers, *go_on(models, samples, can_go_on)]
    for name, mode in MODES.items():
        if name == "float64" and "module" in settings:
            # A module of the user's draws its weights in torch's default type.
            continue
        generator = torch.get_rng_state()
        with mode():
            before = modes_now()
            numbers, models, _ = use(samples, settings)
            assert modes_now() == before, name
        got = [*numbers, *go_on(models, samples, can_go_on)]
        assert torch.equal(torch.get_rng_state(), generator), name
        for one, other in zip(want, got, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)


@pytest.mark.parametrize("mode", [torch.inference_mode, MODES["autocast"]])
def test_many_fits_and_searches_within_a_mode(mode):
    def both():
        settings = {"hidden_layer_sizes": (5,), "max_iter": 2}
        sparse = scipy.sparse.csr_matrix(X)
        models = [TorchMLPClassifier(**settings, random_state=seed) for seed in range(3)]
        models = fit_many([*models, TorchMLPClassifier(**settings, random_state=3)], X, Y)
        models.append(TorchMLPClassifier(**settings, random_state=0).fit(sparse, Y))
        search = BatchedGridSearchCV(
            TorchMLPClassifier(**settings, random_state=0), {"alpha": [0.1, 1]}, cv=2
        ).fit(X, Y)
        scores = search.cv_results_["mean_test_score"]
        return [*(model.predict_proba(X) for model in models), scores], models

    want, _ = both()
    with mode():
        got, models = both()
    for one, other in zip(want, got, strict=True):
        np.testing.assert_array_equal(one, other)
    for model in models:
        model.partial_fit(X, Y)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, MODES["autocast"]])
def test_the_mode_is_as_before_after_an_error(mode):
    def fail(output, target):
        raise RuntimeError("no loss")

    model = TorchMLPRegressor(loss=fail, hidden_layer_sizes=(3,), max_iter=1)
    with mode():
        before = modes_now()
        with pytest.raises(ValueError, match="no loss"):
            model.fit(X, X[:, 0])
        assert modes_now() == before


def test_autocast_forgets_the_weights_of_before_a_fit():
    model = TorchMLPClassifier((4,), dtype="float32", max_iter=1, random_state=0).fit(X, Y)
    inputs = torch.from_numpy(X).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model.module_(inputs)
        model.partial_fit(X, Y)
        got = model.module_(inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model.module_(inputs), got)


def test_samples_made_in_inference_mode():
    with torch.inference_mode():
        samples = torch.from_numpy(X).float() * 1
    model = TorchMLPClassifier((4,), normalization="layer", shuffle=False, max_iter=1)
    model.set_params(dtype="float32", random_state=0).fit(samples, Y)
    other = copy.deepcopy(model).fit(samples.clone(), Y)
    np.testing.assert_array_equal(model.predict_proba(samples), other.predict_proba(samples))


# Interrupts.


def everything():
    """Return what a fit must leave as it was."""
    blas = [library.num_threads for library in threads._blas_libraries()]
    numbers = (torch.get_num_threads(), *threads.own_threads(), threads._running, *blas)
    generator = torch.get_rng_state().numpy().tobytes()
    within = getattr(threads._local, "work", None), random_numbers.is_seeding()
    return *modes_now(), numbers, generator, within


LARGE = np.random.default_rng(0).normal(size=(200, 30))

INTERRUPTED = {
    "predict": lambda model: model.predict(LARGE),
    "dropout": lambda model: model.set_params(dropout=0.1, dtype="bfloat16").fit(
        LARGE, LARGE[:, 0]
    ),
    "module": lambda model: TorchMLPRegressor(module=WithDropout, max_iter=1).fit(
        LARGE, LARGE[:, 0]
    ),
    "lbfgs": lambda model: model.set_params(solver="lbfgs").fit(LARGE, LARGE[:, 0]),
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_an_interrupt_at_any_line_leaves_the_process_as_it_was(name):
    call = INTERRUPTED[name]
    mode = torch.enable_grad if name == "lbfgs" else torch.inference_mode
    model = TorchMLPRegressor(hidden_layer_sizes=(40,), max_iter=1, random_state=0)
    model.fit(LARGE, LARGE[:, 0])
    files = {
        module.__file__
        for module in (isolation, random_numbers, randomness, threads, sys.modules["contextlib"])
    }
    files |= {str(Path(isolation.__file__).with_name(name)) for name in ("dropout.py",)}
    # Tracebacks live on, as in a notebook: nothing may be left to the end of a generator.
    kept, place, is_hit = [], 0, True
    before_threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        while is_hit:
            place += 1
            is_hit = interrupted(call, copy.deepcopy(model), mode, files, place, kept)
    finally:
        torch.set_num_threads(before_threads)
    assert place > 20


def interrupted(call, model, mode, files, place, kept):
    """Interrupt a call at so many lines from its start; tell whether it has as many."""
    seen = 0

    def trace(frame, event, arg):
        nonlocal seen
        caller = frame.f_back.f_code.co_filename if frame.f_back else ""
        # What scikit-learn switches around a fit by a context is not this package's to put back.
        if frame.f_code.co_filename not in files or "sklearn" + os.sep + "base" in caller:
            return None
        if event == "line":
            line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            # An interrupt never comes between these and their body.
            if not line.startswith(("with ", "try:", "finally:")):
                seen += 1
                if seen == place:
                    raise KeyboardInterrupt
        return trace

    with mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, debugger = everything(), sys.gettrace()
        sys.settrace(trace)
        try:
            call(model)
        except KeyboardInterrupt as error:
            kept.append(error)
        finally:
            sys.settrace(debugger)
        assert everything() == before, f"after an interrupt at line {place}"
    return seen >= place


def test_an_isolated_function_returns_and_raises():
    @isolated
    def divide(one, other):
        """Divide."""
        assert torch.is_grad_enabled()
        return one / other

    with torch.no_grad():
        assert divide(6, other=3) == 2
        with pytest.raises(ZeroDivisionError):
            divide(1, 0)
        assert not torch.is_grad_enabled()
    assert divide.__doc__ == "Divide."


def test_another_threads_modes_do_not_matter():
    inside, outside = threading.Event(), threading.Event()

    def hold():
        with torch.inference_mode():
            inside.set()
            outside.wait(timeout=30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(timeout=30)
    TorchMLPClassifier((3,), max_iter=1).fit(X, Y).partial_fit(X, Y)
    outside.set()
    thread.join()
