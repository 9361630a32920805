"""Bars of tqdm for a run."""

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
        numbers = (totals["chunks_done"], totals["chunks_total"]), (written, records)
        for bar, (done, total) in zip(self._bars, numbers, strict=True):
            # A bar in a notebook takes another length only so.
            if bar.total != total:
                bar.reset(total=total)
            bar.n = done
            bar.set_postfix_str(phase, refresh=False)
            bar.refresh()
