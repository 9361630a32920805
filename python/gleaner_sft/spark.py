"""Exports whose rows Spark reads and groups: for input that one machine cannot hold.

    from gleaner_sft import spark as gleaner_spark

    gleaner_spark.export(spark, "/data/logs/*.jsonl.gz", config="production.toml", out="abfss://sets@account.dfs.core.windows.net/")

The dataset is the one of `gleaner_sft.export`, byte for byte. Needs PySpark 4 and PyArrow, and this package on every
executor; only DataFrames are used, so classic Spark and Spark Connect both will do.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import _commands
from ._arguments import StrPath
from ._engine import grouped, installed, reason
from .errors import GleanerError
from .results import ExportResult

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession

_BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
"""How many rows Spark hands to Python at once. Ours have up to 256 KiB."""

_ROWS_AT_ONCE = 64

_PARTITIONS = 200
"""Of a shuffle, if the session does not say how many: Spark's own default."""

_RESULTS_AT_ONCE = 64 << 20
"""Bytes of results that the driver asks for at once."""

_SCHEMA = "chunk int, frame binary"


def export(
    spark: SparkSession,
    source: StrPath | Sequence[StrPath] | DataFrame,
    **options: Any,
) -> ExportResult:
    """Samples, validates and publishes a dataset whose rows Spark reads. The same call resumes a run that was stopped.

    Args:
        spark: The session.
        source: Files, folders or globs that every executor sees under the same names; or a DataFrame whose rows are
            turns or conversations, in gleaner's columns or renamed by ``source.fields``. It is evaluated once for the
            census and once for each round and must have the same rows each time: other rows are refused.
        **options: As of `gleaner_sft.export`, without ``input``: ``config``, ``out``, ``targets``, ``work_dir``, ...

    Returns:
        What was published.

    Raises:
        GleanerError: With the text of the command line, or what the engine said, without text of rows.
        ModuleNotFoundError: If PySpark is not installed.
    """
    if "input" in options:
        raise TypeError("input is the second argument here: export(spark, source, ...)")
    if source is None:
        raise TypeError("there is no input: give files, folders, globs or a DataFrame")
    installed("pyspark")
    if not hasattr(spark, "conf"):
        raise TypeError(f"the first argument is a session of Spark, not {type(spark).__name__}: export(spark, source, ...)")
    if isinstance(source, (str, os.PathLike)) or not hasattr(source, "mapInArrow"):
        return _commands.export(input=source, _on=_Spark(spark, None), **options)
    keys = {**(options.pop("set", None) or {}), "source.kind": "table"}
    return _commands.export(set=keys, _on=_Spark(spark, source), **options)


def main() -> int:
    """The program of `spark-submit`: the arguments of `gleaner export`. See `gleaner_sft.spark_submit`."""
    return _commands.export_command(_Spark(None, None), "pyspark", sys.argv[1:])


class _Spark:
    """Jobs as two stages of a DataFrame."""

    name = "spark"

    def __init__(self, spark: SparkSession | None, table: DataFrame | None) -> None:
        self._session = spark
        self._table = table
        self._tag = f"gleaner-{uuid.uuid4().hex}"

    @functools.cached_property
    def _spark(self) -> SparkSession:
        """The session; begun once the arguments are known to be right."""
        from pyspark.sql import SparkSession

        return self._session or SparkSession.builder.appName("gleaner").getOrCreate()

    @property
    def has_table(self) -> bool:
        return self._table is not None

    def run(
        self, name: str, order: bytes, pieces: Sequence[bytes], chunks: int, has_text: bool
    ) -> Iterator[tuple[int, bytes]]:
        before = self._spark.conf.get(_BATCH)
        self._spark.conf.set(_BATCH, str(_ROWS_AT_ONCE))
        self._spark.addTag(self._tag)
        try:
            yield from self._results(order, pieces, chunks, has_text)
        except Exception as error:
            raise GleanerError(reason(error), 1) from error
        finally:
            self._spark.removeTag(self._tag)
            self._spark.conf.set(_BATCH, before)

    def _results(
        self, order: bytes, pieces: Sequence[bytes], chunks: int, has_text: bool
    ) -> Iterator[tuple[int, bytes]]:
        if self._table is not None:
            scanned = self._table.mapInArrow(functools.partial(_scan_table, order), _SCHEMA)
        else:
            rows = self._spark.createDataFrame([(piece,) for piece in pieces], "piece binary")
            spread = rows.repartition(max(len(pieces), 1))
            scanned = spread.mapInArrow(functools.partial(_scan, order), _SCHEMA)
        # A task takes longer to start than a small chunk to group.
        said = self._spark.conf.get("spark.sql.shuffle.partitions")
        # Databricks says "auto".
        most = int(said) if said and said.isdecimal() else _PARTITIONS
        parts = min(chunks, most, 2 * len(pieces) or most)
        together = scanned.repartition(parts, "chunk").sortWithinPartitions("chunk")
        results = together.mapInArrow(functools.partial(_group, order), _SCHEMA)
        if has_text:
            yield from self._brought(results, chunks)
        else:
            # A census has what the targets need of it: some bytes for each candidate.
            yield from _pairs(results.toArrow())

    def _brought(self, results: DataFrame, chunks: int) -> Iterator[tuple[int, bytes]]:
        """The results, some megabytes at a time: made by all executors at once, and kept on their disks meanwhile."""
        from pyspark import StorageLevel

        try:
            kept = results.persist(StorageLevel.DISK_ONLY)
        except Exception:  # Serverless computing keeps nothing: all comes at once.
            yield from _pairs(results.toArrow())
            return
        try:
            total = kept.selectExpr("sum(length(frame))").first()
            parts = 1 + int((total and total[0]) or 0) // _RESULTS_AT_ONCE
            for part in range(parts):
                first, end = part * chunks // parts, (part + 1) * chunks // parts
                # A range: of what is kept Spark knows the least and the largest number, and passes over the rest.
                wanted = f"chunk < {end}" if part == 0 else f"chunk >= {first} and chunk < {end}"
                # toLocalIterator of PySpark 4.3 leaves what it brings in the driver's memory.
                yield from _pairs(kept.where(wanted).toArrow())
        finally:
            kept.unpersist()

    def stop(self) -> None:
        self._spark.interruptTag(self._tag)


def _pairs(rows: pyarrow.Table | pyarrow.RecordBatch) -> Iterator[tuple[int, bytes]]:
    for chunk, frame in zip(rows.column(0), rows.column(1)):
        yield chunk.as_py(), frame.as_py()


def _batches(rows: Iterable[tuple[int, bytes]]) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow

    types = pyarrow.schema([("chunk", pyarrow.int32()), ("frame", pyarrow.binary())])
    held: list[tuple[int, bytes]] = []
    for row in rows:
        held.append(row)
        if len(held) == _ROWS_AT_ONCE:
            yield pyarrow.record_batch([list(column) for column in zip(*held)], schema=types)
            held = []
    if held:
        yield pyarrow.record_batch([list(column) for column in zip(*held)], schema=types)


@functools.cache
def _settle(modules: int) -> None:
    """Exempts what a Python worker holds from collections of garbage, whenever it has other modules than before.

    After each task PySpark has all of it looked at, for 26 ms: a fourteenth of a run's processor time.
    """
    gc.collect()
    gc.freeze()


def _scan(order: bytes, batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
    from . import _native

    _settle(len(sys.modules))
    for batch in batches:
        for piece in batch.column(0):
            yield from _batches(_native.Scan.of_piece(order, piece.as_py()))


def _scan_table(order: bytes, batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
    """Writes a part of a table into a file, as which gleaner reads it."""
    import pyarrow.parquet
    from pyspark import TaskContext

    from . import _native

    _settle(len(sys.modules))
    context = TaskContext.get()
    number = 0 if context is None else context.partitionId()
    with tempfile.TemporaryDirectory(prefix="gleaner-") as folder:
        path = os.path.join(folder, "part.parquet")
        writer = None
        for batch in batches:
            if writer is None:
                writer = pyarrow.parquet.ParquetWriter(path, batch.schema, compression="zstd", compression_level=1)
            writer.write_batch(batch)
        if writer is None:
            return
        writer.close()
        yield from _batches(_native.Scan.of_table(order, number, path))


def _group(order: bytes, batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
    def sent() -> Iterator[tuple[int, bytes]]:
        for batch in batches:
            yield from _pairs(batch)

    _settle(len(sys.modules))
    yield from _batches(grouped(order, sent()))
