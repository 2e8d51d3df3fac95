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
    section `memory` only, and `best_flops` for the matrix products only.
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
    input_bytes: float = NAN
    step_flops: float = NAN
    best_flops: float = NAN
    note: str = ""


COLUMNS = [column.name for column in fields(Measurement)]


@dataclass
class Results:
    """All measurements of a run, with the machine and the command.

    Attributes
    ----------
    machine : dict
        From `benchmarks.machine.describe_machine`.
    command : str
        The command line that made this.
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
        """Write `results.json` and `results.csv` (which repeats the machine in every row)."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = json.loads(self.table().to_json(orient="records", double_precision=15))
        content = {
            "machine": self.machine,
            "command": self.command,
            "quick": self.quick,
            "measurements": rows,
        }
        (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n")
        self.table().assign(**self.machine).to_csv(folder / "results.csv", index=False)

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read `results.json`."""
        content = json.loads(path.read_text())
        rows = [_from_json(row) for row in content["measurements"]]
        return cls(content["machine"], content["command"], content["quick"], rows)

    def replace(self, rows: list[Measurement]) -> None:
        """Add rows; earlier ones of the same section and workload make room for them."""
        again = {(row.section, row.workload) for row in rows}
        kept = [row for row in self.measurements if (row.section, row.workload) not in again]
        self.measurements = [*kept, *rows]


def _from_json(row: dict[str, Any]) -> Measurement:
    """A measurement from its columns; JSON has null for nan."""
    known: dict[str, Any] = {
        key: NAN if row[key] is None else row[key] for key in COLUMNS if key in row
    }
    return Measurement(**known)
