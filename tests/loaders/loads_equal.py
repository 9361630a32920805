"""Loads a dataset that `gleaner convert --for trl` wrote as datasets, DuckDB and Polars do, and compares it.

    loads_equal.py DATASET

Eager and streamed, every record is equal to the one in the files but for keys of the record that are absent: a table
has them as null. Within messages and tools nothing is added. Other programs than datasets are tried where they are
installed.
"""

import json
import pathlib
import sys

import datasets


def expected(folder):
    """The records of JSON Lines, by split; of Parquet, whose values are JSON texts, by another reader."""
    splits = {}
    for file in sorted(pathlib.Path(folder, "data").iterdir()):
        split = file.name.split("-")[0]
        if file.suffix == ".jsonl":
            records = [json.loads(line) for line in file.open()]
        else:
            import pyarrow.parquet

            table = pyarrow.parquet.read_table(file).to_pylist()
            records = [{key: decoded(value, key) for key, value in row.items() if value is not None} for row in table]
        splits.setdefault(split, []).extend(records)
    return splits


def decoded(value, key):
    if key in ("messages", "tools"):
        return [json.loads(element) if isinstance(element, (str, bytes)) else element for element in value]
    return value


def sparse(record):
    return {key: value for key, value in record.items() if value is not None}


def main(folder):
    wanted = expected(folder)
    wrong = 0
    for streaming in (False, True):
        loaded = datasets.load_dataset(folder, streaming=streaming)
        for split, records in wanted.items():
            rows = [sparse(row) for row in loaded[split]]
            equal = sum(row == record for row, record in zip(rows, records))
            wrong += not (len(rows) == len(records) == equal)
            print(f"datasets {datasets.__version__} streaming={streaming} {split}: {equal} of {len(records)} equal")
    jsonl = sorted(pathlib.Path(folder, "data").glob("*.jsonl"))
    total = sum(map(len, wanted.values()))
    try:
        import duckdb
        import polars
    except ImportError:
        return 1 if wrong else 0
    for file in jsonl or sorted(pathlib.Path(folder, "data").glob("*.parquet")):
        total -= duckdb.sql(f"select count(*) from '{file}'").fetchall()[0][0]
        frame = polars.read_ndjson(file, infer_schema_length=None) if jsonl else polars.read_parquet(file)
        wrong += frame.height != len(wanted[file.name.split("-")[0]]) and len(jsonl) <= len(wanted)
    print(f"DuckDB {duckdb.__version__}, Polars {polars.__version__}: {'all rows' if not total else f'{total} rows missing'}")
    return 1 if wrong or total else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
