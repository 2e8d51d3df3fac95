"""Configuration of the documentation: `make docs` builds it into docs/_build/html.

Nothing is fetched: names of other libraries are linked through the small inventories of
`external_names.py`, and an example that needs a data set of its own shows a picture made before.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
sys.path.insert(0, str(HERE))

import matplotlib as mpl
from external_names import write_inventories
from numpydoc.docscrape_sphinx import SphinxDocString

import sklearn_mlp

mpl.use("Agg")

project = "sklearn_mlp"
author = "The sklearn_mlp developers"
copyright = author
version = release = sklearn_mlp.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "measured",
    "gallery/**/*.ipynb",
    "gallery/**/*.py",
    "gallery/**/*.md5",
]
# In docstrings, `name` is a link where there is such a name.
default_role = "autolink"
highlight_language = "none"  # doctests are coloured all the same
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
nitpicky = True  # a name that leads nowhere is an error, since `make docs` runs with -W

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings state types, with shapes
numpydoc_show_class_members = False
myst_heading_anchors = 3

extlinks = {
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
    "doi": ("https://doi.org/%s", "doi:%s"),
}
# Fitted attributes in docstrings are in the section Attributes, and have no anchor of their own.
nitpick_ignore_regex = [("py:obj", r"\w+_")]
# Files written here, so that the build works without a network.
intersphinx_mapping = write_inventories(HERE / "_build" / "inventories")

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_mlp"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_use_index = False  # the reference lists every name
html_theme_options: dict[str, Any] = {
    "logo": {
        "text": "sklearn_mlp",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
    },
    "show_prev_next": True,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
# Pages on their own have no section to navigate.
html_sidebars = {"index": [], "what-runs-where": [], "how-fit-works": []}

# Examples that need a data set of their own are not run here: they show a picture made before, by
# make_picture.py.
NOT_RUN = tuple(
    path.name
    for path in sorted(EXAMPLES.glob("*.py"))
    if re.search("from images import|SKLEARN_MLP_DATA|'images/", path.read_text())
)
NO_EXAMPLES = ("demo.py", "images.py", "tables.py")


def any_of(names: tuple[str, ...]) -> str:
    """A regular expression that finds the paths of these example files."""
    return "|".join(rf"(^|[\\/]){re.escape(name)}$" for name in names)


sphinx_gallery_conf = {
    "examples_dirs": str(EXAMPLES),
    "gallery_dirs": "gallery",
    "filename_pattern": rf"^(?!.*({any_of(NOT_RUN)}))",
    "ignore_pattern": any_of(NO_EXAMPLES),
    "within_subsection_order": "gallery_order.GalleryOrder",
    "abort_on_example_error": True,
    "default_thumb_file": str(HERE / "_static" / "logo.svg"),
    "doc_module": ("sklearn_mlp",),
    "backreferences_dir": "gallery/backreferences",
    "reference_url": {"sklearn_mlp": None},
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1,
    "remove_config_comments": True,
    "image_srcset": ["2x"],
    "matplotlib_animations": False,
}

# One thread per operation: what examples print does not then depend on the machine's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")


# numpydoc would put the first line of a property's docstring in place of what the section
# Attributes says about it.
_process_param = SphinxDocString._process_param
SphinxDocString._process_param = lambda self, param, desc, fake_autosummary: _process_param(
    self, param, desc, False
)


def skip_attributes(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> Any:
    """Leave out properties of classes: the section Attributes has them, fitted or not."""
    return True if isinstance(obj, property) else None


def setup(app: Any) -> None:
    """Connect what is above."""
    app.connect("autodoc-skip-member", skip_attributes)
