"""How far a run is: bars of tqdm, and a line for each job of an engine."""

from __future__ import annotations

import importlib.util
import sys
from types import TracebackType
from typing import Any


def wanted(progress: bool | None) -> bool:
    """Whether to show bars: as told, or where somebody sees them and tqdm is there."""
    if progress is not None:
        return progress
    is_seen = "ipykernel" in sys.modules or sys.stderr is not None and sys.stderr.isatty()
    return is_seen and importlib.util.find_spec("tqdm") is not None


class Bars:
    """A bar for what is read, and one for what is written."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self._bars: list[Any] = []

    def __enter__(self) -> Bars:
        if self.shown:
            try:
                from tqdm.auto import tqdm
            except ModuleNotFoundError as missing:
                raise ModuleNotFoundError("progress needs tqdm: pip install 'gleaner-sft[progress]'") from missing
            self._bars = [tqdm(desc="chunks", unit=""), tqdm(desc="records", unit="")]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for bar in self._bars:
            bar.close()

    def show(self, status: dict[str, Any]) -> None:
        """Shows the state of a run."""
        totals, strata, phase = status["totals"], status["strata"], status["phase"]
        # Before all is read, nobody knows how many of "all" there are.
        is_read = phase in ("writing", "publishing", "done")
        records = sum(min(one["target"], one["population"]) for one in strata) if is_read else 0
        written = sum(one["written"] for one in strata)
        running = [job for job in status["jobs"] if not job["done"]]
        read = (totals["chunks_done"], totals["chunks_total"])
        if running:
            # Spark or Ray reads: the run waits for what comes of it.
            phase, read = running[-1]["name"], _share(running[-1])
        for bar, (done, total) in zip(self._bars, (read, (written, records)), strict=True):
            # A bar in a notebook takes another length only so.
            if bar.total != total:
                bar.reset(total=total)
            bar.n = done
            bar.set_postfix_str(phase, refresh=False)
            bar.refresh()


class JobLines:
    """Says on stderr how far the jobs of an engine are: on one line of a terminal; elsewhere of each once, at its end."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()

    def show(self, event: dict[str, Any]) -> None:
        """Shows an event of the run, if it is one of a job."""
        if event["notice"] != "job" or not (event["done"] or self._is_terminal):
            return
        of = f" of {event['pieces_total']}" if event["pieces_total"] else ""
        line = f"gleaner on {self._engine}: {event['name']}: {event['pieces']}{of} pieces read, {event['rows']} rows"
        if event["chunks_total"]:
            line += f", {event['chunks']} of {event['chunks_total']} chunks grouped"
        if event["chunks_kept"]:
            line += f", {event['chunks_kept']} kept from before"
        start, end = "\r" if self._is_terminal else "", "\n" if event["done"] else ""
        print(start + line, end=end, file=sys.stderr, flush=True)


def _share(job: dict[str, Any]) -> tuple[int, int]:
    """What is done of a job, and all of it."""
    return job["pieces"] + job["chunks"] + job["chunks_kept"], max(job["pieces_total"], job["pieces"]) + job["chunks_total"]
