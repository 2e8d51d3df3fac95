"""Numbers in which scikit-learn's checks would find nothing, as they would return them.

The checks look for whatever an array may be besides, which takes longer than the rest of a
prediction for one row. Where there is anything to say, they have to be asked, and say it.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse


def is_plain_array(values: Any) -> bool:
    """Tell whether scikit-learn's `check_array` would find nothing in an array of numbers."""
    if type(values) is not np.ndarray or values.dtype.kind not in "fiub":
        return False
    return values.ndim in (1, 2) and values.size > 0 and _is_finite(values)


def plain_array(values: Any) -> np.ndarray | None:
    """Return an array, a list or pandas' as an array of numbers; None if there is more to it."""
    if type(values) is list:
        try:
            values = np.asarray(values)
        except (TypeError, ValueError):
            return None
    elif type(values) is pd.DataFrame or type(values) is pd.Series:
        dtypes = values.dtypes if values.ndim == 2 else [values.dtype]
        # Neither truth values, which pandas makes objects of, nor types of its own.
        if not all(isinstance(dtype, np.dtype) and dtype.kind in "fiu" for dtype in dtypes):
            return None
        values = values.to_numpy()
    return values if is_plain_array(values) else None


def is_plain_sparse(matrix: Any) -> bool:
    """Tell whether it would find nothing in a sparse matrix of numbers, but for its indices."""
    return (
        scipy.sparse.issparse(matrix)
        and matrix.format in ("csr", "csc")
        and matrix.dtype.kind in "fiub"
        and 0 not in matrix.shape
        and _is_finite(matrix.data)
    )


def _is_finite(values: np.ndarray) -> bool:
    """Tell whether all numbers are finite, or, wrongly, that not if their sum overflows."""
    if values.dtype.kind != "f":
        return True
    # One pass, and mostly enough.
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(values.sum())
