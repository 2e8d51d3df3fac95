"""Who is told each time that networks have been judged: a line, a progress bar, callbacks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sklearn_mlp.estimators.callbacks import EpochTasks
from sklearn_mlp.tabular.training import TrainedGroup


class Judgements:
    """Tells whoever looks on how networks were judged.

    Parameters
    ----------
    n_expected : int
        How often they are judged, unless training ends early.
    verbose : bool, int or 'progress'
        The parameter.

    Attributes
    ----------
    record : dict
        How networks were judged last; ``epoch`` counts these times.
    groups : dict of int to callable
        Return the networks of a group at their best so far, for groups that have begun.
    tasks : EpochTasks or None
        Tells scikit-learn's callbacks.
    """

    record: dict[str, Any]
    tasks: EpochTasks | None = None

    def __init__(self, n_expected: int, verbose: bool | int | str) -> None:
        self._n_expected, self._verbose = n_expected, verbose
        self._n_told = 0
        self._bar: Any = None
        self.groups: dict[int, Callable[[], TrainedGroup]] = {}

    def tell(self, row: dict[str, Any], best_so_far: Callable[[], TrainedGroup]) -> bool:
        """Tell how the networks of a group were judged; return whether training is to end."""
        self._n_told += 1
        self.record = {"epoch": self._n_told, **row}
        self.groups[row["group"]] = best_so_far
        if self._bar is not None:
            shown = [name for name in ("loss", "error", "score") if row.get(name)]
            self._bar.set_postfix({name: f"{row[name]:.4f}" for name in shown}, refresh=False)
            self._bar.update()
        elif self._verbose and self._verbose != "progress":
            print(_line_of(row))
        if self.tasks is None:
            return False
        return self.tasks.epoch_ended(is_last=self._n_told == self._n_expected)

    @contextmanager
    def shown(self, name: str) -> Iterator[None]:
        """Show a bar while the body trains, if ``verbose`` asks for one."""
        if self._verbose != "progress":
            yield
            return
        # In a notebook its widget, elsewhere a line on standard error.
        from tqdm.auto import tqdm

        with tqdm(total=self._n_expected, desc=name, unit="judgement") as self._bar:
            yield
            # Full, though training may have ended early.
            self._bar.total = self._bar.n


def _line_of(row: dict[str, Any]) -> str:
    """Say how networks were judged."""
    error = f", error {row['error']:.4f}" if row["error"] else ""
    score = f", score {row['score']:.6f}" if "score" in row else ""
    return f"Iteration {row['n_iter']:.1f}, held-out loss {row['loss']:.6f}{error}{score}"
