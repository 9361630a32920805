"""Exports whose rows Ray reads and groups: plain tasks that are tried again, no actors and no datasets.

    import ray
    from gleaner_sft import ray as gleaner_ray

    ray.init()
    gleaner_ray.export("/data/logs/*.jsonl.gz", config="production.toml", out="az://account/container/sets")

The dataset is the one of `gleaner_sft.export`, byte for byte. Needs this package on every node.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from . import _commands
from ._arguments import StrPath
from ._engine import grouped, installed, reason
from .errors import GleanerError
from .results import ExportResult

_TASKS_PER_CPU = 4
"""So many scans and groups at most for each processor: a part that is slow holds up little, and objects stay few."""


def export(source: StrPath | Sequence[StrPath], **options: Any) -> ExportResult:
    """Samples, validates and publishes a dataset whose rows Ray reads. The same call resumes a run that was stopped.

    Args:
        source: Files, folders or globs that every node sees under the same names.
        **options: As of `gleaner_sft.export`, without ``input``.

    Ray is initialized if it is not.

    Returns:
        What was published.

    Raises:
        GleanerError: With the text of the command line, or what the engine said, without text of rows.
        ModuleNotFoundError: If Ray is not installed.
    """
    if "input" in options:
        raise TypeError("input is the first argument here: export(source, ...)")
    if source is None:
        raise TypeError("there is no input: give files, folders or globs")
    installed("ray")
    return _commands.export(input=source, _on=_Ray(), **options)


def main() -> int:
    """The program of `ray job submit -- python -m gleaner_sft.ray`: the arguments of `gleaner export`."""
    return _commands.export_command(_Ray(), "ray", sys.argv[1:])


class _Ray:
    """Jobs as two layers of tasks."""

    name = "ray"
    has_table = False

    def __init__(self) -> None:
        self._tasks: list[Any] = []

    def run(
        self, name: str, order: bytes, pieces: Sequence[bytes], chunks: int, has_text: bool
    ) -> Iterator[tuple[int, bytes]]:
        import ray

        if not ray.is_initialized():
            ray.init()
        try:
            yield from self._results(name, order, pieces, chunks)
        except ray.exceptions.RayError as error:
            raise GleanerError(reason(error), 1) from error
        finally:
            self._tasks = []

    def _results(
        self, name: str, order: bytes, pieces: Sequence[bytes], chunks: int
    ) -> Iterator[tuple[int, bytes]]:
        import ray

        most = max(1, int(ray.cluster_resources().get("CPU", 1))) * _TASKS_PER_CPU
        parts = min(chunks, most)
        scans = min(len(pieces), most)
        # Once for all tasks.
        shared = ray.put(order)
        scan = ray.remote(max_retries=-1, num_returns=parts, name=f"scan of {name}")(_scan)
        group = ray.remote(max_retries=-1, name=f"group of {name}")(_group)
        scanned = [scan.remote(shared, list(pieces[first::scans]), parts) for first in range(scans)]
        columns = [[sent] for sent in scanned] if parts == 1 else scanned
        self._tasks = [group.remote(shared, *[sent[part] for sent in columns]) for part in range(parts)]
        waiting = list(self._tasks)
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=1)
            yield from ray.get(done[0])

    def stop(self) -> None:
        import ray

        for task in self._tasks:
            ray.cancel(task, force=True, recursive=True)


def _scan(order: bytes, pieces: Sequence[bytes], parts: int) -> Any:
    """What some pieces send, by part; what they have counted goes with the first."""
    from . import _native

    sent: list[list[tuple[int, bytes]]] = [[] for _ in range(parts)]
    for piece in pieces:
        for chunk, frame in _native.Scan.of_piece(order, piece):
            sent[max(chunk, 0) % parts].append((chunk, frame))
    return sent[0] if parts == 1 else sent


def _group(order: bytes, *sent: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    arrived = sorted((item for items in sent for item in items), key=lambda item: item[0])
    return list(grouped(order, arrived))


if __name__ == "__main__":
    sys.exit(main())
