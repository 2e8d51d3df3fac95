"""Quantiles and intervals from what was wrong with rows that networks had not seen.

Cross-validation+ (Barber, Candès, Ramdas and Tibshirani, 2021, "Predictive inference with the
jackknife+"): a new row gets, for every training row, the prediction by the networks that have not
learned from that one, and its residual added to it; the quantiles are those of all these sums. No
further fit is needed, and the networks' disagreement is in them as well as the noise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

# Of more residuals so many, evenly spaced, are kept.
_MOST_KEPT = 5_000

# Sums that are ordered at once.
_MOST_SUMS = 4_000_000


@dataclass(frozen=True)
class HeldResiduals:
    """Residuals of training rows, and which networks had not seen them.

    Attributes
    ----------
    residuals : ndarray of shape (n_kept, n_targets)
        Targets less predictions.
    weights : ndarray of shape (n_kept,) or None
        What each counts.
    members : ndarray of shape (n_groups, n_kept)
        Which network of each group has not seen the row.
    """

    residuals: np.ndarray
    weights: np.ndarray | None
    members: np.ndarray

    @classmethod
    def of(
        cls,
        residuals: np.ndarray,
        weights: np.ndarray | None,
        held: Sequence[Sequence[np.ndarray]],
    ) -> "HeldResiduals":
        """Keep the residuals of rows that count; those without a prediction are NaN.

        Parameters
        ----------
        residuals : ndarray of shape (n_rows, n_targets)
            Of all training rows.
        weights : ndarray of shape (n_rows,) or None
            What each counts.
        held : sequence of sequence of ndarray of int
            The rows that each network of each group has not seen.
        """
        members = np.full((len(held), len(residuals)), -1)
        for group, folds in enumerate(held):
            for member, rows in enumerate(folds):
                members[group, rows] = member
        is_kept = np.isfinite(residuals).all(axis=1)
        if weights is not None:
            is_kept &= weights > 0
        kept = np.flatnonzero(is_kept)
        if len(kept) > _MOST_KEPT:
            kept = kept[np.linspace(0, len(kept) - 1, _MOST_KEPT).astype(np.intp)]
        own_weights = None if weights is None else weights[kept]
        return cls(residuals[kept], own_weights, members[:, kept])

    def quantiles(
        self,
        groups: Sequence[np.ndarray],
        weights: Sequence[float],
        levels: Sequence[float],
        sign: int | None = None,
    ) -> np.ndarray:
        """Return quantiles of what the targets of new rows may be.

        Parameters
        ----------
        groups : sequence of ndarray of shape (k, n_rows, n_targets)
            The predictions of each group's networks.
        weights : sequence of float
            What each group counts.
        levels : sequence of float
            Between 0 and 1.
        sign : {1, -1} or None
            Whether to add the size of the residuals, or to subtract it; None adds them as they
            are.

        Returns
        -------
        quantiles : ndarray of shape (n_rows, n_targets, n_levels)
        """
        residuals = self.residuals if sign is None else sign * np.abs(self.residuals)
        n_rows, n_targets = groups[0].shape[1:]
        found = np.empty((n_rows, n_targets, len(levels)))
        step = max(1, _MOST_SUMS // len(residuals))
        for target in range(n_targets):
            for start in range(0, n_rows, step):
                rows = slice(start, start + step)
                sums = residuals[:, target] + sum(
                    weight * group[:, rows, target].T[:, members]
                    for weight, group, members in zip(weights, groups, self.members, strict=True)
                )
                found[rows, target] = self._ordered(sums, levels)
        return found

    def quantiles_of_levels(
        self,
        groups: Sequence[np.ndarray],
        weights: Sequence[float],
        chosen: Sequence[tuple[int, float]],
    ) -> np.ndarray:
        """Return quantiles that networks predict, moved by their own residuals.

        Parameters
        ----------
        groups : sequence of ndarray of shape (k, n_rows, n_targets, n_levels)
            The quantiles of each group's networks; the residuals have these last axes, too.
        weights : sequence of float
            What each group counts.
        chosen : sequence of (place, level)
            Which of the quantiles are asked for.

        Returns
        -------
        quantiles : ndarray of shape (n_rows, n_targets, n_chosen)
            They rise with the level.
        """
        found = [
            self._moved(self.residuals[..., place], groups, weights, place, level)
            for place, level in chosen
        ]
        levels = [level for _, level in chosen]
        ranks = np.argsort(np.argsort(levels, kind="stable"), kind="stable")
        return np.sort(np.concatenate(found, axis=2), axis=2)[..., ranks]

    def interval_of_levels(
        self,
        groups: Sequence[np.ndarray],
        weights: Sequence[float],
        places: tuple[int, int],
        coverage: float,
    ) -> np.ndarray:
        """Return the interval between two quantiles, as wide as rows held out ask for.

        Parameters
        ----------
        groups, weights
            As for `quantiles_of_levels`.
        places : tuple of int
            The lower quantile and the upper one.
        coverage : float
            The share of rows that the interval is to hold.

        Returns
        -------
        interval : ndarray of shape (n_rows, n_targets, 2)
        """
        low, high = places
        # How far outside a row is; inside that is negative.
        outside = np.maximum(-self.residuals[..., low], self.residuals[..., high])
        lower = self._moved(-outside, groups, weights, low, 1 - coverage)
        upper = self._moved(outside, groups, weights, high, coverage)
        return np.sort(np.concatenate([lower, upper], axis=2), axis=2)

    def _moved(
        self,
        residuals: np.ndarray,
        groups: Sequence[np.ndarray],
        weights: Sequence[float],
        place: int,
        level: float,
    ) -> np.ndarray:
        """Return one of the networks' quantiles with residuals added, (n_rows, n_targets, 1)."""
        own = [group[..., place] for group in groups]
        return replace(self, residuals=residuals).quantiles(own, weights, [level])

    def _ordered(self, sums: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """Return quantiles along the last axis; of n values there are n + 1 gaps for a new one."""
        n_values = sums.shape[1]
        if self.weights is None:
            # To rounding: 0.9 times 10 is to be 9.
            wished = [
                math.ceil(round(level * (n_values + 1), 9))
                if level >= 0.5
                else math.floor(round(level * (n_values + 1), 9))
                for level in levels
            ]
            places = [min(max(place, 1), n_values) - 1 for place in wished]
            return np.partition(sums, sorted(set(places)), axis=1)[:, places]
        order = np.argsort(sums, axis=1)
        shares = np.cumsum(self.weights[order], axis=1) / self.weights.sum()
        places = [(shares < level * (1 - 1e-12)).sum(axis=1) for level in levels]
        places = np.minimum(np.column_stack(places), n_values - 1)
        return np.take_along_axis(np.take_along_axis(sums, order, 1), places, 1)
