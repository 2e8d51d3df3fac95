"""Examples that show other packages at work: run, and what they say is true."""

import runpy
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def said_by(name, capsys):
    """Run an example; return the lines that it prints."""
    matplotlib.use("Agg")
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    plt.close("all")
    return capsys.readouterr().out.splitlines()


def test_a_model_is_served_without_torch_and_scikit_learn(capsys):
    said = said_by("serve_onnx", capsys)
    assert "of torch, scikit-learn and this package, the server has imported: none" in said
    assert said[-2:] == ["the same labels: True", "probabilities within 1e-6: True"]


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_captums_attributions_sum_to_the_difference(capsys):
    pytest.importorskip("captum", reason="captum is not installed")
    said = said_by("explain_captum", capsys)
    sums = [line.split("sums to ")[1].split(", the output differs by ") for line in said[1:]]
    # A path of 50 steps leaves 1e-3 of the difference; DeepLift's rule leaves rounding alone.
    assert len(sums) == 2
    assert all(abs(float(one) - float(other)) < 0.01 for one, other in sums)


@pytest.mark.filterwarnings("ignore")
def test_shaps_attributions_sum_to_the_predictions(capsys):
    pytest.importorskip("shap", reason="shap is not installed")
    assert said_by("explain_shap", capsys)[-1] == "the same for all 89: True"
