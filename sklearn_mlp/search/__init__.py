"""Searches and cross-validation that train candidates and folds together.

`BatchedGridSearchCV.fit` runs scikit-learn's own `fit`, to which it gives another `Parallel`::

    BatchedGridSearchCV.fit              search/searches.py
      BaseSearchCV.fit                   scikit-learn       candidates, folds, cv_results_, refit
        StackingParallel.__call__        search/parallel.py which fits go together
          fit_and_score_stack            search/stack.py    in a process: preprocess, fit, score
            fit_stacked                  many/fits.py        one stack of networks

`searches`  the searches, and `cross_validate_batched`
`parallel`  which fits go together
`stack`     a process's part: preprocess, fit, score
`scoring`   scikit-learn's scorers, and its default one, faster
`folds`     the candidates on their folds, and the samples of these
`saved`     a fitted search as it is pickled

May import all other rooms.
"""

from sklearn_mlp.search.searches import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    cross_validate_batched,
)

__all__ = ["BatchedGridSearchCV", "BatchedRandomizedSearchCV", "cross_validate_batched"]
