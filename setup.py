"""Builds the compiled steps where there is a compiler; the rest is in pyproject.toml.

Without one, or with the environment variable ``SKLEARN_MLP_COMPILED=0``, the package installs all
the same, and trains by torch.
"""

import os
import sys

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

# Infinity and NaN are numbers here, and sums keep their order: no -ffast-math.
FLAGS = {
    "unix": ["-std=c++17", "-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"],
    "msvc": ["/std:c++17", "/O2"],
}

SOURCES = ["module", "steps_baseline", "steps_avx2", "steps_avx512"]


class BuildSteps(build_ext):
    """Knows the flags of the compiler that it has found, and says so where there is none."""

    def build_extension(self, ext: Extension) -> None:
        ext.extra_compile_args = FLAGS.get(self.compiler.compiler_type, FLAGS["unix"])
        try:
            super().build_extension(ext)
        except Exception as error:
            print(
                f"sklearn_mlp: the compiled steps were not built ({error}). The package works "
                "without them: small networks then train some three times more slowly, by torch.",
                file=sys.stderr,
            )


class Wheel(bdist_wheel):
    """Is for every machine if nothing has been compiled, which is known once it is built."""

    def get_tag(self) -> tuple[str, str, str]:
        built = self.get_finalized_command("build_ext").get_outputs()
        if any(os.path.exists(path) for path in built):
            return super().get_tag()
        self.root_is_pure = True
        return "py3", "none", "any"


def extensions() -> list[Extension]:
    """Return what is to be compiled."""
    if os.environ.get("SKLEARN_MLP_COMPILED") == "0":
        return []
    folder = "sklearn_mlp/compiled"
    return [
        Extension(
            "sklearn_mlp.compiled._steps",
            [f"{folder}/{name}.cpp" for name in SOURCES],
            depends=[
                f"{folder}/{name}.hpp"
                for name in (
                    "activations",
                    "build",
                    "descent",
                    "elementary",
                    "forms",
                    "losses",
                    "products",
                    "steps",
                    "subnormals",
                    "tiles",
                )
            ],
            language="c++",
            py_limited_api=True,
        )
    ]


setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildSteps, "bdist_wheel": Wheel},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if extensions() else {},
)
