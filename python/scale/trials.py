"""What a trial is held against, and what a run shows of itself while it runs."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gleaner_sft


OPTIONS: dict[str, Any] = {
    "config": {"name": "d", "limits": {"max_malformed_percent": 100}},
    "targets": "all",
    "seed": "s1",
}
LEDGER = ("population", "strata", "malformed")
POLL = 0.01
TIMEOUT = 600.0
"""Seconds after which an export that has not ended counts as hanging."""
TRIES = 15
"""How often a kill that hits nothing is tried again."""


class Missed(Exception):
    """The kill hit nothing: the job was over before."""


class Bad(Exception):
    """A trial has shown a fault."""


@dataclasses.dataclass
class Truth:
    """What one machine has made of the input."""

    digest: str
    ledger: dict[str, Any]

    @classmethod
    def of(cls, result: gleaner_sft.ExportResult) -> Truth:
        """What an export has made."""
        return cls(result.content_sha256, {key: result.manifest[key] for key in LEDGER})

    def hold(self, other: Truth) -> None:
        """Raises `Bad` if an export has made something else."""
        if other.digest != self.digest:
            raise Bad(f"the digest is {other.digest} and not {self.digest}")
        for key in LEDGER:
            if other.ledger[key] != self.ledger[key]:
                raise Bad(f"{key} is {other.ledger[key]} and not {self.ledger[key]}")


def alone(inputs: list[str], out: Path) -> Truth:
    """Exports on one machine."""
    for name in ("alone", "alone-work"):
        shutil.rmtree(out / name, ignore_errors=True)
    result = gleaner_sft.export(
        input=inputs, out=out / "alone", work_dir=out / "alone-work", fresh=True, progress=False, **OPTIONS
    )
    return Truth.of(result)


def wait_for(what: str, is_so: Callable[[], bool], timeout: float = TIMEOUT) -> None:
    """Waits until something is so."""
    end = time.monotonic() + timeout
    while not is_so():
        if time.monotonic() > end:
            raise Bad(f"waited {timeout:.0f} s for {what}")
        time.sleep(POLL)


@dataclasses.dataclass(frozen=True)
class Jobs:
    """The jobs of a run, by what its work directory has."""

    work: Path

    def folder(self, job: str) -> Path:
        """Where a job keeps its chunks. Decisions are part of the census that they are for."""
        below = self.work / "chunks" / "engine"
        return below / "census" / "decisions" if job == "decisions" else below / job

    def began(self, job: str) -> bool:
        """Whether a job has begun."""
        return self.folder(job).is_dir()

    def is_done(self, job: str) -> bool:
        """Whether a job is done."""
        return (self.folder(job) / "done.json").exists()

    def runs(self, job: str) -> bool:
        """Whether a job runs."""
        return self.began(job) and not self.is_done(job)

    def marks(self, job: str) -> dict[str, tuple[int, int]]:
        """A job's chunks, with what changes if one is written again: its file's time and number."""
        found = {}
        for path in self.folder(job).glob("*.chunk"):
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                found[path.name] = (state.st_mtime_ns, state.st_ino)
        return found

    def has_chunks(self, job: str) -> bool:
        """Whether a job has kept a chunk."""
        return any(self.folder(job).glob("*.chunk"))


class Running:
    """An export on a thread."""

    def __init__(self, export: Callable[[], gleaner_sft.ExportResult]) -> None:
        self._export = export
        self._result: gleaner_sft.ExportResult | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._export()
        except BaseException as error:
            self._error = error

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    def result(self) -> Truth:
        """Waits for its end."""
        self._thread.join(TIMEOUT)
        if self._thread.is_alive():
            raise Bad(f"the export has not ended after {TIMEOUT:.0f} s")
        if self._error is not None:
            raise Bad(f"the export failed: {type(self._error).__name__}: {self._error}")
        assert self._result is not None
        return Truth.of(self._result)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Waits for a moment of it; `Missed` if it ends before."""
        while not is_so():
            if self.has_ended:
                self.result()
                raise Missed
            time.sleep(POLL)


@dataclasses.dataclass
class Count:
    """How many trials of a kind were good."""

    good: int = 0
    trials: int = 0
    missed: int = 0


class Tally:
    """Runs trials, and says what came of each."""

    def __init__(self) -> None:
        self._counts: dict[str, Count] = {}

    def trial(self, kind: str, moment: str, run: Callable[[], str]) -> None:
        """Runs a trial, again if it hits nothing. It says what it has killed, or raises `Bad`."""
        count = self._counts.setdefault(kind, Count())
        began = time.monotonic()
        for _ in range(TRIES):
            try:
                killed, said = run(), "equal"
            except Missed:
                count.missed += 1
                continue
            except Bad as error:
                killed, said = kind, f"NOT EQUAL: {error}"
            break
        else:
            killed, said = kind, f"NOT EQUAL: hit nothing in {TRIES} tries"
        count.trials += 1
        count.good += said == "equal"
        print(f"{kind} {count.trials}: {moment}: {killed}: {said}, {time.monotonic() - began:.1f} s", flush=True)

    def close(self) -> int:
        """Says the counts, and gives the exit code."""
        said = [f"{kind} {of.good} of {of.trials} (missed {of.missed})" for kind, of in self._counts.items()]
        is_good = all(count.good == count.trials for count in self._counts.values())
        print(f"{'good' if is_good else 'BAD'}: " + "; ".join(said), flush=True)
        return 0 if is_good else 1
