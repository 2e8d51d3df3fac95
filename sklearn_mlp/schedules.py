"""Learning-rate schedules: what an epoch's end, and a lack of progress, change."""

from sklearn_mlp.config import TrainingConfig
from sklearn_mlp.state import TrainingState

# Below this, scikit-learn's adaptive schedule stops instead of dividing once more.
_SMALLEST_ADAPTIVE_RATE = 1e-6


class Schedule:
    """The learning rate over the epochs; the rate itself lives in the training state.

    Parameters
    ----------
    config : TrainingConfig
        Names the schedule, which only ``sgd`` follows.
    state : TrainingState
        Its ``learning_rate`` is set.
    """

    def __init__(self, config: TrainingConfig, state: TrainingState) -> None:
        self.config = config
        self.state = state
        self.name = config.learning_rate if config.solver == "sgd" else "constant"
        # A partial_fit goes on with the rate it has reached, unless the user has set a new one.
        is_changed = state.learning_rate_init != config.learning_rate_init
        if not config.incremental or state.optimizer is None or is_changed:
            state.learning_rate = state.learning_rate_init = config.learning_rate_init

    def epoch_ended(self) -> None:
        """Set the next epoch's learning rate."""
        if self.name == "invscaling":
            samples = self.state.samples_seen
            self.state.learning_rate = (
                self.config.learning_rate_init / (samples + 1) ** self.config.power_t
            )

    def progress_stalled(self) -> tuple[bool, str]:
        """Answer a lack of progress: whether to stop, and what scikit-learn says of it."""
        if self.name != "adaptive":
            return True, "Stopping."
        if self.state.learning_rate <= _SMALLEST_ADAPTIVE_RATE:
            return True, "Learning rate too small. Stopping."
        self.state.learning_rate /= 5.0
        return False, f"Setting learning rate to {self.state.learning_rate:f}"
