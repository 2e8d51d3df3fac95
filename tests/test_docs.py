"""The documentation is complete: what is public is in the reference, described.

Nothing is built here; `make docs` does that.
"""

import inspect
import re
import runpy
from pathlib import Path

import pytest

import sklearn_mlp

ROOT = Path(__file__).parents[1]
PUBLIC = [getattr(sklearn_mlp, name) for name in sklearn_mlp.__all__ if name != "__version__"]
CLASSES = [obj for obj in PUBLIC if inspect.isclass(obj)]
OPEN = {
    "self",
    "cls",
    "params",
    "module__",
}  # need no description; the last two stand for any name
SECTION = r"\n{title}\n-+\n(.*?)(?=\n\S[^\n]*\n-+\n|\Z)"


def described(docstring, section):
    """The names that a section of a numpydoc docstring describes."""
    match = re.search(SECTION.format(title=section), inspect.cleandoc(docstring), re.DOTALL)
    lines = match[1].split("\n") if match else []
    heads = [line.split(" : ")[0] for line in lines if line and not line.startswith(" ")]
    names = [name.lstrip("*") for head in heads for name in head.split(", ")]
    return [name for name in names if name not in OPEN]


def has_section(obj, title):
    """Tell whether a docstring has a section of numpydoc's."""
    return re.search(rf"\n({title})\n-+\n", inspect.cleandoc(obj.__doc__)) is not None


def taken(function):
    """The names of a function's parameters."""
    return [name for name in inspect.signature(function).parameters if name not in OPEN]


def public_methods():
    """Methods written in this package, of public classes; what is inherited is scikit-learn's."""
    for cls in CLASSES:
        for name in dir(cls):
            method = inspect.unwrap(getattr(cls, name)) if not name.startswith("_") else None
            method = getattr(method, "__func__", method)  # of a class method
            if inspect.isfunction(method) and method.__module__.startswith("sklearn_mlp"):
                yield pytest.param(method, id=f"{cls.__name__}.{name}")


METHODS = list(public_methods())


@pytest.mark.parametrize("obj", PUBLIC, ids=lambda obj: obj.__name__)
def test_a_public_name_is_in_the_reference(obj):
    lines = (ROOT / "docs" / "reference.rst").read_text().split()
    assert obj.__name__ in lines, f"add {obj.__name__} to docs/reference.rst"


@pytest.mark.parametrize("obj", PUBLIC, ids=lambda obj: obj.__name__)
def test_parameters_are_described(obj):
    assert sorted(described(obj.__doc__, "Parameters")) == sorted(taken(obj))


@pytest.mark.parametrize("method", METHODS)
def test_parameters_of_methods_are_described(method):
    assert described(method.__doc__, "Parameters") == taken(method)


@pytest.mark.parametrize("backend", ["torch", "skorch"])
@pytest.mark.parametrize("cls", [sklearn_mlp.TorchMLPClassifier, sklearn_mlp.TorchMLPRegressor])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fitted_attributes_are_described(cls, backend, iris):
    X, y = iris
    model = cls(hidden_layer_sizes=(2,), max_iter=1, random_state=0, backend=backend).fit(X, y)
    public = {
        name
        for name in dir(model)
        if name.endswith("_") and not name.startswith("_") and hasattr(model, name)
    }
    assert public <= set(described(cls.__doc__, "Attributes"))


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_returns_is_described(method):
    if inspect.signature(method).return_annotation not in (None, "None"):
        assert has_section(method, "Returns|Yields")


@pytest.mark.parametrize("obj", PUBLIC, ids=lambda obj: obj.__name__)
def test_a_public_name_has_an_example(obj):
    assert has_section(obj, "Examples")
    assert ">>>" in obj.__doc__


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_an_example_of_the_gallery_opens_with_a_title(path):
    if path.name in (
        "demo.py",
        "images.py",
        "tables.py",
    ):  # as in docs/conf.py: not in the gallery
        return
    title, underline = path.read_text().lstrip('r"').strip().split("\n")[:2]
    assert re.fullmatch("=+", underline), f"{path.name}: underline the docstring's first line"
    assert len(underline) == len(title)


def test_how_fit_works_names_what_is_there():
    text = (ROOT / "docs" / "how-fit-works.md").read_text()
    package, checked = ROOT / "sklearn_mlp", 0
    for names, files in re.findall(r"^ +([\w., ]*\w)  +((?:[\w/]+\.py(?:, )?)+)", text, re.M):
        code = "".join((package / file).read_text() for file in files.split(", "))
        for name in re.split(r"[,.] ?", names):
            definition = rf"^ *(def|class) {name}\b"
            assert re.search(definition, code, re.M), f"how-fit-works.md: {files} has no {name}"
            checked += 1
    assert checked > 30
    for file in re.findall(r"\b([\w/]+\.py)\b", text):
        assert (package / file).is_file() or (ROOT / file).is_file(), file


def test_broken_links_are_found(tmp_path):
    broken_links = runpy.run_path(str(ROOT / "docs" / "check_links.py"))["broken_links"]
    (tmp_path / "other.html").write_text('<h1 id="there">A</h1>')
    (tmp_path / "index.html").write_text(
        '<a href="other.html#there">1</a> <a href="other.html#gone">2</a> <a href="#gone">3</a>'
        '<img src="gone.png"> <a href="https://example.org/gone">4</a> <a href="other.html">5</a>'
    )
    assert broken_links(tmp_path) == [
        "index.html: other.html#gone",
        "index.html: #gone",
        "index.html: gone.png",
    ]
