"""The table of results: one row per measurement, tidy, to CSV and JSON and back."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

NAN = float("nan")


@dataclass
class Measurement:
    """One row: what one peer did in one round of one workload.

    A row without `seconds` says in `note` why there is no time. `peak_bytes` is set in the
    sections `memory` and `files` only, `mapped_bytes`, the pages of files besides, in `files`, and
    `best_flops` for the matrix products only. `date` and `load` are
    those when its workload began, `command` is the command line that ran it: one table may hold
    the rows of several runs.
    """

    section: str
    workload: str
    title: str
    peer: str
    peer_title: str
    is_ours: bool = False
    device: str = "cpu"
    kind: str = "fit"
    axis: str = ""
    value: float = NAN
    n_samples: int = 0
    n_features: int = 0
    round: int = -1
    seconds: float = NAN
    steps: int = 0
    score: float = NAN
    rule: str = ""
    deviation: float = NAN
    margin: float = NAN
    agrees: bool = False
    peak_bytes: float = NAN
    mapped_bytes: float = NAN
    input_bytes: float = NAN
    step_flops: float = NAN
    best_flops: float = NAN
    note: str = ""
    date: str = ""
    load: float = NAN
    command: str = ""


COLUMNS = [column.name for column in fields(Measurement)]


@dataclass
class Results:
    """All measurements of a run, and of the earlier ones that it resumed, with the machine.

    Attributes
    ----------
    machine : dict
        From `benchmarks.machine.describe_machine`; its date and load are those when the last run
        began.
    command : str
        The command line of the last run.
    quick : bool
        Whether sizes were cut; such figures are for smoke tests only.
    measurements : list of Measurement
        In the order they were made.
    """

    machine: dict[str, Any]
    command: str
    quick: bool = False
    measurements: list[Measurement] = field(default_factory=list)

    def table(self, section: str | None = None) -> pd.DataFrame:
        """The measurements as a table with `seconds_per_step`; of one section, or all."""
        table = pd.DataFrame([asdict(row) for row in self.measurements], columns=COLUMNS)
        table["seconds_per_step"] = table["seconds"] / table["steps"].where(table["steps"] > 0)
        return table if section is None else table[table["section"] == section]

    def save(self, folder: Path) -> None:
        """Write `results.json` and `results.csv` (which repeats the machine in every row).

        A row has its own date and load, so the machine's do not go into the table.
        """
        folder.mkdir(parents=True, exist_ok=True)
        rows = json.loads(self.table().to_json(orient="records", double_precision=15))
        content = {
            "machine": self.machine,
            "command": self.command,
            "quick": self.quick,
            "measurements": rows,
        }
        # Whoever is cut short while writing leaves the file as it was.
        whole = folder / "results.json.part"
        whole.write_text(json.dumps(content, indent=1) + "\n")
        whole.replace(folder / "results.json")
        machine = {key: value for key, value in self.machine.items() if key not in COLUMNS}
        self.table().assign(**machine).to_csv(folder / "results.csv", index=False)

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read `results.json`; columns that an older file lacks get their defaults."""
        content = json.loads(path.read_text())
        rows = [_from_json(row) for row in content["measurements"]]
        return cls(content["machine"], content["command"], content["quick"], rows)

    def replace(self, rows: list[Measurement]) -> None:
        """Add rows, in the place of earlier ones of the same section and workload."""
        again = {(row.section, row.workload) for row in rows}
        is_old = [(row.section, row.workload) in again for row in self.measurements]
        place = is_old.index(True) if True in is_old else len(is_old)
        kept = [row for row, old in zip(self.measurements, is_old, strict=True) if not old]
        self.measurements = [*kept[:place], *rows, *kept[place:]]


def _from_json(row: dict[str, Any]) -> Measurement:
    """A measurement from its columns; JSON has null for nan."""
    known: dict[str, Any] = {
        key: NAN if row[key] is None else row[key] for key in COLUMNS if key in row
    }
    return Measurement(**known)
