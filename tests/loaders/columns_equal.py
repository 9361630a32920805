"""Reads Parquet that has columns for the members of objects, and holds it against the same records as lines.

    columns_equal.py PARQUET LINES

Both are folders that `gleaner convert --for verl` wrote. Records are equal but for what columns cannot say apart: members
that are absent are null, tools that are absent are an empty list, and an object without members is not there.
"""

import json
import pathlib
import sys

import datasets
import duckdb
import pyarrow.parquet


def bare(value):
    """A value without what is absent in it."""
    if isinstance(value, dict):
        members = {key: bare(inner) for key, inner in value.items()}
        return {key: inner for key, inner in members.items() if inner is not None and inner != {}}
    return [bare(element) for element in value] if isinstance(value, (list, tuple)) else value


def record(row):
    row = bare(row)
    return {key: value for key, value in row.items() if (key, value) != ("tools", [])}


def readers(file):
    yield "pyarrow", pyarrow.parquet.read_table(file).to_pylist()
    yield "datasets", list(datasets.load_dataset("parquet", data_files=file, split="train"))
    relation = duckdb.sql(f"select * from '{file}'")
    yield "DuckDB", [dict(zip(relation.columns, row)) for row in relation.fetchall()]
    try:
        import polars
    except ImportError:
        return
    yield "Polars", polars.read_parquet(file).to_dicts()


def main(parquet, lines):
    datasets.disable_progress_bars()
    wrong = total = 0
    for file in sorted(pathlib.Path(parquet, "data").iterdir()):
        text = pathlib.Path(lines, "data", file.stem + ".jsonl").read_text()
        wanted = [record(json.loads(line)) for line in text.splitlines()]
        total += len(wanted)
        for name, rows in readers(str(file)):
            equal = sum(record(row) == one for row, one in zip(rows, wanted))
            wrong += not (len(rows) == len(wanted) == equal)
            print(f"{name} {file.name}: {equal} of {len(wanted)} equal")
    return 1 if wrong or not total else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
