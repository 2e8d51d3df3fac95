"""How reports word figures: counts, and under what circumstances a time was measured."""

import pandas as pd


def count(number: int, noun: str) -> str:
    """A number with its noun, in the singular for one.

    Examples
    --------
    >>> count(1, "round"), count(2, "round"), count(1_000, "row")
    ('1 round', '2 rounds', '1,000 rows')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def rounds_of(table: pd.DataFrame) -> str:
    """How many rounds stand behind the measurements; from - to where workloads differ."""
    rounds = table.groupby("workload")["round"].nunique()
    if rounds.min() == rounds.max():
        return count(rounds.max(), "round")
    return f"{rounds.min()} to {count(rounds.max(), 'round')}"


def period(table: pd.DataFrame) -> str:
    """From when to when measurements were begun; nothing for files that do not say.

    Examples
    --------
    >>> period(pd.DataFrame({"date": ["2026-01-01 10:05 UTC", "2026-01-01 10:00 UTC", ""]}))
    '2026-01-01 10:00 – 10:05 UTC'
    """
    dates = table.loc[table["date"] != "", "date"]
    if dates.empty:
        return ""
    first, last = dates.min().removesuffix(" UTC"), dates.max().removesuffix(" UTC")
    day = first.split()[0]
    shown = last.split()[1] if last.startswith(day) else last
    return f"{first} UTC" if first == last else f"{first} – {shown} UTC"


def circumstances(table: pd.DataFrame) -> str:
    """Rounds, time and load of some measurements, as far as they are known.

    Examples
    --------
    >>> columns = {"workload": "a", "round": [0, 1], "date": "2026-01-01 10:00 UTC", "load": 0.31}
    >>> circumstances(pd.DataFrame(columns))
    '2 rounds, 2026-01-01 10:00 UTC, load 0.3'
    """
    parts = [rounds_of(table), period(table)]
    loads = sorted({f"{load:.1f}" for load in table["load"].dropna()}, key=float)
    if loads:
        parts.append("load " + " – ".join(dict.fromkeys([loads[0], loads[-1]])))
    return ", ".join(part for part in parts if part)
