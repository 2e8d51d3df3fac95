"""A fitted search as it is saved: without what scikit-learn makes of its parameters.

skops would have to be told to trust the classes of those, which are private in part.
"""

from typing import Any

from sklearn.metrics import check_scoring
from sklearn.model_selection import KFold, StratifiedKFold

# Under this name a state says what is to be made again.
_MADE_AGAIN = "_made_again"
_SPLITTER = "_checked_cv_orig"
_SPLITTERS = {kind.__name__: kind for kind in (KFold, StratifiedKFold)}


def save_search(state: dict[str, Any]) -> dict[str, Any]:
    """Return a search's attributes without those that its parameters make again."""
    saved, again = dict(state), dict[str, Any]()
    if "scorer_" in saved and _is_same_scorer(saved):
        del saved["scorer_"]
        again["scorer_"] = True
    splitter: Any = saved.get(_SPLITTER)
    kind = type(splitter).__name__
    if _SPLITTERS.get(kind) is type(splitter) and splitter is not saved["cv"]:
        plain = _SPLITTERS[kind](splitter.n_splits)
        if vars(plain) == vars(splitter):
            del saved[_SPLITTER]
            again[_SPLITTER] = [kind, splitter.n_splits]
    return {**saved, _MADE_AGAIN: again} if again else saved


def load_search(state: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that a state stands for."""
    attributes = dict(state)
    again = attributes.pop(_MADE_AGAIN, {})
    if "scorer_" in again:
        attributes["scorer_"] = _make_scorer(attributes)
    if _SPLITTER in again:
        kind, n_splits = again[_SPLITTER]
        attributes[_SPLITTER] = _SPLITTERS[kind](n_splits)
    return attributes


def _is_same_scorer(state: dict[str, Any]) -> bool:
    """Tell whether the parameter ``scoring`` names what has scored; it may have been set since."""
    scoring = state["scoring"]
    names = scoring.values() if isinstance(scoring, dict) else scoring
    if not isinstance(scoring, str | None) and not all(isinstance(name, str) for name in names):
        return False
    try:
        return repr(_make_scorer(state)) == repr(state["scorer_"])
    except (TypeError, ValueError):
        return False


def _make_scorer(state: dict[str, Any]) -> Any:
    """Return a scorer as scikit-learn's searches make it; of several, one by name."""
    estimator, scoring = state["estimator"], state["scoring"]
    if isinstance(scoring, str | None):
        return check_scoring(estimator, scoring)
    named = scoring if isinstance(scoring, dict) else {name: name for name in scoring}
    return {name: check_scoring(estimator, scorer) for name, scorer in named.items()}
