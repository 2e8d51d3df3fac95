"""Run an example that `make docs` does not run, and save its picture for the gallery.

    SKLEARN_MLP_DATA=FOLDER python docs/make_picture.py fashion_mnist

writes docs/images/fashion_mnist.png, the figure that the example drew last. What the
example prints goes into its docstring by hand.
"""

import runpy
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parent


def main() -> None:
    """Run and save."""
    (name,) = sys.argv[1:]
    examples = DOCS.parent / "examples"
    sys.path.insert(0, str(examples))
    plt.show = lambda *args, **kwargs: None
    runpy.run_path(str(examples / f"{name}.py"), run_name="__main__")
    path = DOCS / "images" / f"{name}.png"
    plt.savefig(path, dpi=80)
    print(f"saved {path.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
