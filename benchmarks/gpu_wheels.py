"""What a machine with a GPU but no network lacks, as wheels in a folder that git ignores.

    python -m benchmarks.gpu_wheels --python 3.12

downloads, in the versions of `constraints.txt`, what such a machine seldom has: scikit-learn and
what it stands on, skorch, pandas, pytest. torch and NumPy are taken from the machine; `--also`
names others, `--without` leaves some out. `benchmarks.gpu` puts on its path those of the folder
that are missing or too old.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
WHEELS = Path(__file__).parent / "wheels"

PACKAGES = (
    *("scikit-learn", "scipy", "joblib", "narwhals", "threadpoolctl", "cloudpickle"),
    *("skorch", "tabulate", "tqdm", "pandas", "python-dateutil", "tzdata"),
    *("pytest", "iniconfig", "packaging", "pluggy", "pygments"),
)

# pip takes a platform by its very name.
PLATFORMS = tuple(f"manylinux{tag}_x86_64" for tag in ("_2_28", "_2_27", "_2_24", "_2_17", "2014"))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_wheels")
    parser.add_argument("--python", default="3.12", help="of that machine; default: 3.12")
    parser.add_argument("--platform", nargs="+", default=PLATFORMS, help="default: x86-64 Linux")
    parser.add_argument("--also", nargs="+", default=(), metavar="NAME", help="such as numpy")
    parser.add_argument("--without", nargs="+", default=(), metavar="NAME", help="such as scipy")
    parser.add_argument("--output", type=Path, default=WHEELS, help=f"default: {WHEELS}")
    return parser.parse_args(arguments)


def download_command(options: argparse.Namespace) -> list[str]:
    """The call of pip that fetches the wheels."""
    pinned = pinned_versions()
    names = [name for name in (*PACKAGES, *options.also) if name not in options.without]
    wanted = [f"{name}=={pinned[_key(name)]}" for name in names]
    platforms = [word for platform in options.platform for word in ("--platform", platform)]
    return [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
        *("--quiet", "--disable-pip-version-check", "--implementation", "cp"),
        *("--python-version", options.python, *platforms, "--dest", str(options.output), *wanted),
    ]


def pinned_versions() -> dict[str, str]:
    """The versions of `constraints.txt`, by name."""
    lines = (CHECKOUT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if "==" in line]
    return {_key(name): pin.strip() for name, pin in pairs}


def least_versions() -> dict[str, str]:
    """What this project and its tests ask for at least, by name."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    demands = list(project["project"]["dependencies"])
    demands.append(f"pytest>={project['tool']['pytest']['ini_options']['minversion']}")
    return {_key(name): least for name, least in (demand.split(">=") for demand in demands)}


def lacking(folder: Path) -> list[str]:
    """Names of the folder's packages that are not installed here, or too old."""
    least = least_versions()
    names = dict.fromkeys(_key(path.name.split("-")[0]) for path in sorted(folder.glob("*.whl")))
    return [name for name in names if not _is_enough(name, least.get(name, "0"))]


def _is_enough(name: str, least: str) -> bool:
    """Whether a package is installed in a version, or a later one."""
    try:
        return _numbers(version(name)) >= _numbers(least)
    except PackageNotFoundError:
        return False


def _numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version, such as (2, 11, 0) of 2.11.0+cu130."""
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _key(name: str) -> str:
    """A distribution's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@contextmanager
def wheels_on_path(folder: Path) -> Iterator[Path | None]:
    """Within the body, import what is lacking from wheels; nothing is installed.

    Yields
    ------
    Path or None
        The temporary folder that went on the path; None where nothing is lacking.
    """
    names = lacking(folder) if folder.is_dir() else []
    if not names:
        yield None
        return
    target = Path(tempfile.mkdtemp(prefix="sklearn_mlp_wheels_"))
    sys.path.insert(0, str(target))
    try:
        print(f"from {folder}: {', '.join(names)}", flush=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
        command += ["--no-compile", "--no-cache-dir", "--disable-pip-version-check"]
        command += ["--find-links", str(folder), "--target", str(target), *names]
        subprocess.run(command, check=True, timeout=120)
        yield target
    finally:
        sys.path.remove(str(target))
        shutil.rmtree(target, ignore_errors=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Collect the wheels, and say how large they are."""
    options = parse(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    status = subprocess.run(download_command(options)).returncode
    sizes = [path.stat().st_size for path in options.output.glob("*.whl")]
    print(f"{options.output}: {len(sizes)} wheels, {sum(sizes) / 1e6:.0f} MB")
    return status


if __name__ == "__main__":
    sys.exit(main())
