#!/usr/bin/env bash
# With the tenth key the arguments of calls become a map in DuckDB's Parquet, which datasets refuses to load.
#
# Versions: duckdb 2.0.1, pyarrow 26.0.1, polars 2.1.0, datasets 5.2.0 (Python)
# Guess:    objects stay objects: a struct with the keys of all rows, nulls for those that a row lacks, and every
#           reader gives a dictionary.
# Seen:     so it is with nine tools, each with a key of its own. With ten every key stands in a tenth of the rows or
#           fewer, and the column is MAP(VARCHAR, ...). pyarrow gives pairs instead of a dictionary, Polars a
#           dictionary, datasets raises before the first row. If the values are of several types they are JSON:
#           pyarrow has the text "ls" with its quotes, Polars the bytes of it. One more tool changes what a file is;
#           definitions of tools turn at the eleventh. Read with `columns = {arguments: 'json'}` the file is loaded
#           as the objects that went in.
# Output:   9 keys: STRUCT, datasets loads; 10 keys: MAP(VARCHAR, JSON) / pyarrow [('k1', '"ls"')] /
#           polars {'k1': b'"ls"'} / datasets: map<string, ...> does not have a datasets dtype equivalent
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1 polars==2.1.0 datasets==5.2.0
cat >look.py <<'PY'
import json

import datasets
import duckdb
import polars
import pyarrow.parquet as pq

datasets.disable_progress_bars()
datasets.logging.set_verbosity_error()


def look(keys):
    """The column's type and the second row as each reader has it, of 1000 calls of so many tools."""
    with open(f"{keys}.jsonl", "w") as file:
        for row in range(1000):
            value = "ls" if row // keys % 2 == 0 else row
            file.write(json.dumps({"id": row, "arguments": {f"k{row % keys}": value}}) + "\n")
    rows = duckdb.read_json(f"{keys}.jsonl")
    kind = str(rows.types[1])
    rows.write_parquet(f"{keys}.parquet")
    try:
        loaded = datasets.load_dataset("parquet", data_files=f"{keys}.parquet", split="train", cache_dir="cache")
        by_datasets = loaded[1]["arguments"]
    except ValueError as error:
        by_datasets = str(error)
    by_pyarrow = pq.read_table(f"{keys}.parquet").to_pylist()[1]["arguments"]
    by_polars = polars.read_parquet(f"{keys}.parquet").to_dicts()[1]["arguments"]
    print(keys, kind, by_pyarrow, by_polars, by_datasets, sep=" | ")
    return kind, by_pyarrow, by_polars, by_datasets


kind, by_pyarrow, by_polars, by_datasets = look(9)
assert kind.startswith("STRUCT(k0 JSON")
assert by_pyarrow["k1"] == '"ls"' and by_polars["k1"] == b'"ls"' and by_datasets["k1"] == "ls"
kind, by_pyarrow, by_polars, by_datasets = look(10)
assert kind == "MAP(VARCHAR, JSON)"
assert by_pyarrow == [("k1", '"ls"')] and by_polars == {"k1": b'"ls"'}
assert "map<string" in by_datasets and "does not have a datasets dtype equivalent" in by_datasets

duckdb.read_json("10.jsonl", columns={"id": "bigint", "arguments": "json"}).write_parquet("json.parquet")
loaded = datasets.load_dataset("parquet", data_files="json.parquet", split="train", cache_dir="cache")
with open("10.jsonl") as file:
    assert list(loaded) == [json.loads(line) for line in file]
PY
HF_HUB_OFFLINE=1 HF_HOME="$dir/hf" v/bin/python look.py
