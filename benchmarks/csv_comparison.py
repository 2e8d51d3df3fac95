"""The comparison on a user's own table.

    python -m benchmarks --csv FILE --target COLUMN

Every model gets the same folds and the same preprocessing, fitted on each fold's training part:
numbers are imputed and scaled, categories imputed and one-hot encoded, and the target of a
regression is scaled. What is timed is the model's `fit` on the arrays that come out, interleaved
within each fold; the settings are scikit-learn's defaults, its stopping rule included. A model
whose mean score is further from scikit-learn's than the margin gets no time.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.ticker import MaxNLocator
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.agreement import compare_scores
from benchmarks.machine import synchronize
from benchmarks.report import markdown_table
from benchmarks.timing import interleave, paired_ratios
from benchmarks.workloads import SEED

Task = Literal["classification", "regression"]
Log = Callable[[str], None]

MAX_CATEGORIES = 50
"""Categories per column that get a column of their own; the rarer ones share one."""

MAX_CLASSES = 20
"""A target of whole numbers with at most so many values is taken for classes."""

SCORE_MARGIN = 0.02
"""How far a model's mean score may be from scikit-learn's."""

REFERENCE = "scikit-learn"


@dataclass(frozen=True)
class Fold:
    """Preprocessed arrays of one fold."""

    X_train: npt.NDArray[np.float64]
    y_train: npt.NDArray[Any]
    X_test: npt.NDArray[np.float64]
    y_test: npt.NDArray[Any]


@dataclass
class Comparison:
    """The outcome: a row per model and fold, and who has no time and why."""

    task: Task
    shape: tuple[int, int]
    table: pd.DataFrame
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        """What the score is."""
        return "accuracy" if self.task == "classification" else "R²"


def read_table(path: Path, separator: str = ",") -> pd.DataFrame:
    """Read a CSV file, compressed or not; empty fields and `?` are missing."""
    return pd.read_csv(path, sep=separator, na_values=["?"], skipinitialspace=True)


def guess_task(target: pd.Series) -> Task:
    """Classes for text, truth values and few whole numbers; else numbers.

    Examples
    --------
    >>> guess_task(pd.Series(["a", "b"])), guess_task(pd.Series([0.5, 1.5]))
    ('classification', 'regression')
    """
    if pd.api.types.is_bool_dtype(target) or not pd.api.types.is_numeric_dtype(target):
        return "classification"
    values = target.unique()
    is_whole = bool(np.all(np.asarray(values, dtype=float) % 1 == 0))
    return "classification" if is_whole and len(values) <= MAX_CLASSES else "regression"


def split_target(frame: pd.DataFrame, target: str) -> tuple[pd.DataFrame, pd.Series]:
    """Features and target, without rows whose target is missing and columns that are empty."""
    if target not in frame:
        raise ValueError(f"there is no column {target!r}; the columns are {list(frame)}")
    frame = frame[frame[target].notna()].dropna(axis="columns", how="all")
    return frame.drop(columns=target), frame[target]


def make_preprocessor(features: pd.DataFrame) -> ColumnTransformer:
    """Numbers: median, unit scale. The rest: most frequent category, one-hot."""
    is_number = [pd.api.types.is_numeric_dtype(features[column]) for column in features]
    numbers = features.columns[np.array(is_number, dtype=bool)]
    others = features.columns.difference(numbers, sort=False)
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES, sparse_output=False
    )
    return ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
                numbers,
            ),
            ("others", make_pipeline(SimpleImputer(strategy="most_frequent"), one_hot), others),
        ]
    )


def make_folds(features: pd.DataFrame, target: pd.Series, task: Task, folds: int) -> list[Fold]:
    """Preprocessed arrays of every fold, stratified where each class has enough members."""
    y = target.to_numpy()
    if task == "classification":
        y = target.astype(str).to_numpy(dtype=object).astype(str)
        enough = pd.Series(y).value_counts().min() >= folds
        splitter_class = StratifiedKFold if enough else KFold
    else:
        y, splitter_class = y.astype(np.float64), KFold
    splitter = splitter_class(folds, shuffle=True, random_state=SEED)
    return [_fold(features, y, train, test, task) for train, test in splitter.split(features, y)]


def _fold(
    features: pd.DataFrame,
    y: npt.NDArray[Any],
    train: npt.NDArray[np.intp],
    test: npt.NDArray[np.intp],
    task: Task,
) -> Fold:
    preprocessor = make_preprocessor(features)
    X_train = np.asarray(preprocessor.fit_transform(features.iloc[train]), dtype=np.float64)
    X_test = np.asarray(preprocessor.transform(features.iloc[test]), dtype=np.float64)
    y_train, y_test = y[train], y[test]
    if task == "regression":
        mean, deviation = y_train.mean(), y_train.std() or 1.0
        y_train, y_test = (y_train - mean) / deviation, (y_test - mean) / deviation
    return Fold(X_train, y_train, X_test, y_test)


def models(task: Task, max_iter: int, device: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Unfitted models by name, and the reason for each that this installation lacks."""
    is_classifier = task == "classification"
    settings = {"max_iter": max_iter, "random_state": SEED}
    found: dict[str, Any] = {
        REFERENCE: (MLPClassifier if is_classifier else MLPRegressor)(**settings)
    }
    left_out = {}
    tiny = np.arange(20.0).reshape(-1, 1)
    for name, backend in (("sklearn_mlp", "torch"), ("sklearn_mlp, skorch backend", "skorch")):
        try:
            import sklearn_mlp

            suffix = "Classifier" if is_classifier else "Regressor"
            model_class = getattr(sklearn_mlp, f"TorchMLP{suffix}")
            options = {"backend": backend, "device": device}
            _fit(model_class(max_iter=1, **options), tiny, np.arange(20) % 2)
            found[name] = model_class(**settings, **options)
        except Exception as error:  # an option that this version lacks ends up in the report
            left_out[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    return found, left_out


def _fit(model: Any, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def compare_on_table(
    path: Path,
    target: str,
    *,
    task: Task | None = None,
    folds: int = 5,
    max_iter: int = 200,
    separator: str = ",",
    device: str = "cpu",
    log: Log = print,
) -> Comparison:
    """Cross-validate every model on a CSV file.

    Parameters
    ----------
    path : Path
        The file, compressed or not, with a header.
    target : str
        The column to predict.
    task : {"classification", "regression"}, optional
        Guessed from the target where not given.
    folds : int, default=5
        Each fold is a round: every model is fitted once, in turn.
    max_iter : int, default=200
        Most epochs of a fit; scikit-learn's default.
    separator : str, default=","
        Between the file's fields.
    device : str, default="cpu"
        For our models.
    log : callable, default=print
        Takes a line of progress.

    Returns
    -------
    Comparison
    """
    features, labels = split_target(read_table(path, separator), target)
    task = task or guess_task(labels)
    found, left_out = models(task, max_iter, device)
    rows = []
    for number, fold in enumerate(make_folds(features, labels, task, folds)):
        rows += _run_fold(number, fold, found, task, device, log)
    table = pd.DataFrame(rows)
    left_out |= disagreements(table)
    return Comparison(task, features.shape, table, left_out)


def _run_fold(
    number: int, fold: Fold, found: dict[str, Any], task: Task, device: str, log: Log
) -> list[dict[str, Any]]:
    """Fit and score every model on one fold; on the first, once without the clock."""
    metric = accuracy_score if task == "classification" else r2_score

    def call(model: Any) -> Any:
        fitted = _fit(model, fold.X_train, fold.y_train)
        synchronize(device)
        return fitted

    if number == 0:
        for model in found.values():
            _fit(type(model)(**{**model.get_params(), "max_iter": 1}), fold.X_train, fold.y_train)
    calls = {name: lambda model=model: call(model) for name, model in found.items()}
    rows = []
    for lap in interleave(calls, 1):
        score = float(metric(fold.y_test, lap.result.predict(fold.X_test)))
        rows.append(
            {
                "round": number,
                "peer": lap.name,
                "seconds": lap.seconds,
                "epochs": int(lap.result.n_iter_),
                "score": score,
            }
        )
        log(f"  fold {number + 1}  {lap.name:30s} {lap.seconds:9.3f} s  score {score:.4f}")
    return rows


def disagreements(table: pd.DataFrame, margin: float = SCORE_MARGIN) -> dict[str, str]:
    """Models whose mean score is off by more than the margin, with the reason."""
    means = table.groupby("peer", sort=False)["score"].mean()
    checks = {
        str(name): compare_scores(float(score), float(means[REFERENCE]), margin)
        for name, score in means.items()
    }
    return {name: check.note for name, check in checks.items() if not check.holds}


def report(comparison: Comparison) -> str:
    """The Markdown table of times, ratios, scores and their spread."""
    table = comparison.table
    ratios = paired_ratios(table, REFERENCE)
    rows = []
    for name, group in table.groupby("peer", sort=False):
        seconds, scores = group["seconds"], group["score"]
        times = ["–", "–"]
        if name not in comparison.left_out:
            ratio = 1 / ratios.loc[name, ["median", "high", "low"]].to_numpy(dtype=float)
            times = [
                f"{seconds.median():.3f} ({seconds.min():.3f} – {seconds.max():.3f})",
                f"{ratio[0]:.2f} ({ratio[1]:.2f} – {ratio[2]:.2f})",
            ]
        rows.append(
            [
                str(name),
                *times,
                f"{scores.mean():.4f} ± {scores.std():.4f}",
                f"{group['epochs'].median():.0f}",
            ]
        )
    header = ["model", "fit, seconds", "times faster", comparison.metric, "epochs"]
    n_rows, n_columns = comparison.shape
    text = f"{n_rows:,} rows, {n_columns} columns, {comparison.task}, "
    text += f"{table['round'].nunique()} folds. Medians over the folds and their range; "
    text += "score: mean and standard deviation.\n\n" + markdown_table(header, rows)
    for name, reason in comparison.left_out.items():
        text += f"\n\nNo time for {name}: {reason.rstrip('.')}."
    return text


def draw(comparison: Comparison) -> Any:
    """Two panels, a row per model: fit time and score of every fold, medians marked."""
    table = comparison.table
    names = list(table["peer"].unique())
    figure, axes = plt.subplots(
        1, 2, figsize=(10, 1.6 + 0.6 * len(names)), layout="constrained", sharey=True
    )
    places = {name: place for place, name in enumerate(reversed(names))}
    colours = dict(zip(names, ("#e07b00", "#0b5cad", "#9cc9ec"), strict=False))
    columns = (("seconds", "fit, seconds"), ("score", comparison.metric))
    for axis, (column, label) in zip(axes, columns, strict=True):
        for name, group in table.groupby("peer", sort=False):
            if column == "seconds" and name in comparison.left_out:
                continue
            place = places[str(name)]
            axis.plot(
                group[column], [place] * len(group), "o", color=colours[str(name)], alpha=0.5
            )
            axis.plot(group[column].median(), place, "|", color="#222222", ms=22, mew=2)
        axis.set_xlabel(f"{label}, every fold and the median")
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.grid(axis="x", alpha=0.3)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    axes[0].set_xlim(left=0)
    axes[0].set_ylim(-0.6, len(names) - 0.4)
    axes[0].set_yticks(list(places.values()), list(places))
    return figure


def save(comparison: Comparison, folder: Path) -> None:
    """Write the table (CSV and JSON), the report and the picture."""
    folder.mkdir(parents=True, exist_ok=True)
    comparison.table.to_csv(folder / "comparison.csv", index=False)
    comparison.table.to_json(folder / "comparison.json", orient="records", indent=1)
    (folder / "report.md").write_text(f"# Comparison\n\n{report(comparison)}\n")
    figure = draw(comparison)
    figure.savefig(folder / "comparison.png", dpi=110)
    plt.close(figure)
