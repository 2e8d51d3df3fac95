"""Load the adult and California housing data.

From the folder that the environment variable ``SKLEARN_MLP_DATA`` names, with a folder per data
set in its original files, or without it from OpenML.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import fetch_openml

DATA = os.environ.get("SKLEARN_MLP_DATA")

ADULT_COLUMNS = ["age", "workclass", "fnlwgt", "education", "education-num", "marital-status"]
ADULT_COLUMNS += ["occupation", "relationship", "race", "sex", "capital-gain", "capital-loss"]
ADULT_COLUMNS += ["hours-per-week", "native-country", "class"]


def load_adult(folder: Path | str | None = DATA) -> tuple[pd.DataFrame, pd.Series]:
    """Load 48,842 people, and whether each earns more than 50,000 dollars a year, or not."""
    if folder is None:
        print("downloading adult from OpenML (a later run uses scikit-learn's cache)")
        frame = fetch_openml("adult", version=2, as_frame=True).frame
    else:
        parts = [
            pd.read_csv(
                Path(folder) / "adult" / name,
                names=ADULT_COLUMNS,
                skipinitialspace=True,
                na_values="?",
                comment="|",
            )
            for name in ("adult.data.gz", "adult.test.gz")
        ]
        frame = pd.concat(parts, ignore_index=True)
    labels = frame.pop("class").astype(str).str.rstrip(".")
    # How many people of the country a row stands for says nothing about this one.
    return frame.drop(columns="fnlwgt"), labels


def load_housing(folder: Path | str | None = DATA) -> tuple[np.ndarray, np.ndarray]:
    """Load 20,640 districts with 8 features, and the median house value in dollars."""
    if folder is None:
        print("downloading california_housing from OpenML (a later run uses a cache)")
        frame = fetch_openml("california_housing", as_frame=True).frame
    else:
        frame = pd.read_csv(Path(folder) / "california_housing" / "cal_housing.csv.gz")
    target = frame.pop("median_house_value").to_numpy(np.float64)
    numbers = frame.select_dtypes("number")
    return numbers.fillna(numbers.median()).to_numpy(np.float64), target
