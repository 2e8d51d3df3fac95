"""The progress bar of ``verbose="progress"``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.contract.state import TrainingState


class EpochBar:
    """Shows the epochs done, the loss, the score if there is one, and the time left.

    Parameters
    ----------
    bar : tqdm
        The bar that is drawn.
    state : TrainingState
        What it shows, read at each epoch's end.
    """

    def __init__(self, bar: Any, state: TrainingState) -> None:
        self._bar = bar
        self._state = state

    def epoch_ended(self, *, is_last: bool) -> bool:
        """Advance by an epoch; a bar never stops training."""
        figures = {"loss": f"{self._state.loss:.4f}"}
        if self._state.is_validated:
            figures["score"] = f"{self._state.history.column('validation_score')[-1]:.4f}"
        self._bar.set_postfix(figures, refresh=False)
        self._bar.update()
        return False

    def finish(self) -> None:
        """Show the bar as full, though fewer epochs than the limit were needed."""
        self._bar.total = self._bar.n


@contextmanager
def epoch_bar(name: str, config: TrainingConfig, state: TrainingState) -> Iterator[list[EpochBar]]:
    """Show a bar while the body trains, if ``verbose`` asks for one; give it in a list."""
    if config.verbose != "progress":
        yield []
        return
    # In a notebook its widget, elsewhere a line on standard error.
    from tqdm.auto import tqdm

    total = 1 if config.incremental else config.max_iter
    with tqdm(total=total, desc=name, unit="epoch") as bar:
        epochs = EpochBar(bar, state)
        yield [epochs]
        epochs.finish()
