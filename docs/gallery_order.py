"""The order of the gallery: from the first things to try to the special ones."""

from pathlib import Path

ORDER = """
    drop_in grid_search save_and_load serve_onnx learning_rates
    mnist_hidden_layer fashion_mnist textbook_networks decision_boundaries
    adult_as_it_comes adult_early_stopping class_weights quantile_band
    explain_captum explain_shap
    own_module processes skorch_callbacks skorch_mnist mnist
""".split()  # noqa: SIM905


class GalleryOrder:
    """Sorts file names of examples; those not listed come last, by name.

    Parameters
    ----------
    folder : str
        Where the examples are.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, filename: str) -> tuple[int, str]:
        """The place of an example."""
        name = Path(filename).stem
        return ORDER.index(name) if name in ORDER else len(ORDER), name
