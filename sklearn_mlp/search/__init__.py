"""Searches and cross-validation that train candidates and folds together.

`BatchedGridSearchCV.fit` runs scikit-learn's own `fit`, to which it gives another `Parallel`::

    BatchedGridSearchCV.fit              search/searches.py
      BaseSearchCV.fit                   scikit-learn       candidates, folds, cv_results_, refit
        StackingParallel.__call__        search/parallel.py which fits go together
          fit_and_score_stack            search/stack.py    in a process: preprocess, fit, score
            fit_stacked                  fit_many.py        one stack of networks
"""

from sklearn_mlp.search.searches import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    cross_validate_batched,
)

__all__ = ["BatchedGridSearchCV", "BatchedRandomizedSearchCV", "cross_validate_batched"]
