"""The fitted network as a module: the types that it takes, and what it says of others."""

import pytest
import torch

from sklearn_mlp import TorchMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

OTHER = {torch.float32: torch.float64, torch.float64: torch.float32}


@pytest.mark.parametrize(
    ("n_samples", "dtype", "expected"),
    [
        (150, "auto", torch.float64),
        (150, "float32", torch.float32),
        (300, "auto", torch.float32),
        (300, "float64", torch.float64),
    ],
)
@pytest.mark.parametrize("normalization", [None, "layer"])
def test_samples_of_another_type_are_told_what_to_do(
    make_classifier, digits, n_samples, dtype, expected, normalization
):
    X, y = digits[0][:n_samples], digits[1][:n_samples]
    model = make_classifier(dtype=dtype, normalization=normalization).fit(X, y)
    assert model.dtype_ == expected
    inputs = torch.from_numpy(X).to(expected)
    assert model.module_(inputs).dtype == expected
    for other in (OTHER[expected], torch.int64, torch.bfloat16):
        message = rf"computes in {expected}, but was given samples in {other}: .*dtype='float32'"
        with pytest.raises(TypeError, match=message):
            model.module_(inputs.to(other))


def test_other_errors_of_torch_stay_what_they_are(make_classifier, digits):
    model = make_classifier().fit(*digits)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        model.module_(torch.ones(2, 3, dtype=model.dtype_))


def test_the_module_is_exported_and_compiled_all_the_same(digits):
    X, y = digits
    model = TorchMLPClassifier((8,), max_iter=2, random_state=0).fit(X, y)
    inputs = torch.from_numpy(X[:5]).to(model.dtype_)
    expected = model.module_(inputs)
    exported = torch.export.export(model.module_, (inputs,)).module()
    compiled = torch.compile(model.module_, backend="eager", fullgraph=True)
    for other in (exported, compiled):
        assert torch.equal(other(inputs), expected)
