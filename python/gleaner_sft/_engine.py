"""What engines (Spark, Ray) have in common: the stages of a job on executors.

The engine schedules and shuffles bytes; what they mean is gleaner's own business. See docs/adr/0019.
"""

from __future__ import annotations

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


def reason(error: BaseException) -> str:
    """What an engine's exception says, on one line: gleaner's own words, or those of Python, or of Java's first cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    ours = [line[line.index("gleaner: ") :] for line in lines if "gleaner: " in line]
    python = [line for line in lines if re.match(r"\w+(Error|Exception): .", line)]
    java = [line for line in lines if re.match(r"(Caused by)?:?\s*[\w.]+\.\w+(Error|Exception): .", line)]
    said = (ours or python or java[::-1] or lines or [type(error).__name__])[0]
    return said.removeprefix("gleaner: ").removeprefix("Caused by").lstrip(": ")
