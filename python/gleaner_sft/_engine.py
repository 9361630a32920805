"""What engines (Spark, Ray) have in common: the stages of a job on executors.

The engine schedules and shuffles bytes; what they mean is gleaner's own business. See docs/adr/0019.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

LEDGER = -1
"""The number, among those of chunks, under which a scan sends what its piece has counted."""


class Engine(Protocol):
    """Runs the jobs of an export."""

    @property
    def name(self) -> str:
        """For the manifest."""

    @property
    def has_table(self) -> bool:
        """Whether it has a table, and no files are asked for."""

    def run(
        self, name: str, order: bytes, pieces: Sequence[bytes], chunks: int, has_text: bool
    ) -> Iterable[tuple[int, bytes]]:
        """Runs a job: scans each piece (or each part of its table), brings what comes of it together by chunk, groups
        it, and gives what comes of that, which is large if it has the text of conversations. Is called on a thread of
        gleaner's own."""

    def stop(self) -> None:
        """Ends the job that runs, from another thread."""


def grouped(order: bytes, sent: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """On an executor: groups what has arrived for some chunks; all of a chunk stand together."""
    from . import _native

    rest = iter(sent)
    item = next(rest, None)
    while item is not None:
        chunk = item[0]
        if chunk == LEDGER:
            yield item
            item = next(rest, None)
            continue
        after: list[tuple[int, bytes] | None] = [None]

        def of_chunk(first: bytes = item[1], chunk: int = chunk) -> Iterator[bytes]:
            yield first
            for item in rest:
                if item[0] != chunk:
                    after[0] = item
                    return
                yield item[1]

        for result in _native.group(order, chunk, of_chunk()):
            yield chunk, result
        item = after[0]


def installed(engine: str) -> None:
    """Refuses to begin without the package of an engine."""
    if importlib.util.find_spec(engine) is None:
        extra = {"pyspark": "spark"}.get(engine, engine)
        raise ModuleNotFoundError(f"{engine} is not installed here: pip install 'gleaner-sft[{extra}]'", name=engine)


def reason(error: BaseException) -> str:
    """What an engine's exception says, on one line.

    Gleaner's own words stay, as they begin (``gleaner: ``). Of others only those do that have no row of a table in them:
    an import that fails, a disk or memory that ends, a plan that cannot be made. Of all else the kind is named, because
    its words may quote what a row says (``[CAST_INVALID_INPUT] The value '...'``).
    """
    text = str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    ours = [line[line.index(OURS) :] for line in lines if OURS in line]
    if ours:
        return ours[0]
    if missing := re.search(r"No module named '(gleaner_sft|pyarrow)", text):
        package = missing[1].replace("gleaner_sft", "gleaner-sft")
        return f"{package} is missing on an executor: install it on every one, in the version of the driver"
    kinds = [match for line in lines if (match := re.match(r"(?:Caused by)?:?\s*([\w.]*\w(?:Error|Exception)): (.)", line))]
    for match in reversed(kinds):
        if re.fullmatch(_HARMLESS, match[1]):
            return match.string.removeprefix("Caused by").lstrip(": ")
    if type(error).__name__ in _PLANS:
        return lines[0] if lines else type(error).__name__
    kind = kinds[-1][1] if kinds else type(error).__name__
    condition = re.search(r"\[([A-Z][A-Z0-9_.]+)\]", text)
    return f"{kind}{f' [{condition[1]}]' if condition else ''}; its words may quote rows, so they are in the engine's log alone"


OURS = "gleaner: "
"""What gleaner's own errors begin with where they pass through an engine."""

_HARMLESS = (
    r"(java\.(io|net|nio\.file|util\.concurrent)\.|java\.lang\.OutOfMemory|org\.apache\.spark\.memory\.)\S*"
    r"|ModuleNotFoundError|ImportError|MemoryError|OSError|PermissionError|FileNotFoundError"
    r"|(ray\.exceptions\.)?(OutOfMemoryError|NodeDiedError|WorkerCrashedError|OwnerDiedError|ObjectLostError|RaySystemError)"
)

_PLANS = ("AnalysisException", "ParseException")
"""Of a plan: no row was read."""
