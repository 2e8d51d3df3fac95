"""Who looks on while a network is trained."""

from typing import Protocol


class Observer(Protocol):
    """Looks on while a network is trained."""

    def epoch_ended(self, *, is_last: bool) -> bool:
        """Take note of the end of an epoch; return whether training is to stop."""
