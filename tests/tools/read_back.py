"""Reads a published dataset as others would: read_back.py CONTAINER_URL PREFIX SAME_IN_A_FOLDER

Downloads every blob with the official client, holds the bytes against those of the same export into a
folder, and the records against what pandas, DuckDB and datasets load. Prints what it has seen."""

import hashlib
import json
import os
import re
import sys
import tempfile
from pathlib import Path

URL, PREFIX, FOLDER = sys.argv[1], sys.argv[2], Path(sys.argv[3])
TO = Path(tempfile.mkdtemp(dir="."))
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=str(TO / "hf"))

import datasets
import duckdb
import pandas
from azure.storage.blob import ContainerClient


def timeless(name):
    """Names of reports have the time of their run in them."""
    return re.sub(r"_\d{8}_\d{6}\.json$", ".json", name)


container = ContainerClient.from_container_url(URL, credential=os.environ["SIGNATURE"])
blobs = {}
for blob in container.list_blobs(name_starts_with=PREFIX, include=["metadata"]):
    name = blob.name.removeprefix(PREFIX)
    path = TO / "dataset" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        container.download_blob(blob.name).readinto(file)
    blobs[name] = path
    if name != "metadata.json":
        assert blob.metadata == {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}, name

local = {str(path.relative_to(FOLDER)): path for path in FOLDER.rglob("*") if path.is_file()}
assert sorted(map(timeless, blobs)) == sorted(map(timeless, local)), (sorted(blobs), sorted(local))
bytes_of = {timeless(name): path.read_bytes() for name, path in local.items()}
for name, path in blobs.items():
    if name == "SHA256SUMS":
        lines = path.read_text().splitlines(), bytes_of[name].decode().splitlines()
        assert [sorted(map(timeless, side)) for side in lines][0] == sorted(map(timeless, lines[1]))
    elif name != "metadata.json":
        assert path.read_bytes() == bytes_of[timeless(name)], name

text, whole = datasets.Value("string"), datasets.Value("int64")
FEATURES = datasets.Features(
    {"conversationId": text, "userName": text, "turnCount": whole, "bucket": text, "turnsArray": datasets.Json()}
    | {"promptTokens": whole, "completionTokens": whole, "llmCallCount": whole}
)
metadata = json.loads(blobs["metadata.json"].read_text())
split_files, seen = {}, 0
for stratum in metadata["strata"]:
    if stratum["file"] is None:
        assert (stratum["records"], stratum["bytes"]) == (0, 0), stratum
        continue
    path = blobs[stratum["file"]]
    lines = path.suffix == ".jsonl"
    body = path.read_text()
    wanted = [json.loads(line) for line in body.splitlines()] if lines else json.loads(body)
    assert len(wanted) == stratum["records"], stratum
    seen += len(wanted)
    split_files.setdefault(stratum["split"], []).append((path, wanted))
    frame = pandas.read_json(path, lines=lines, dtype=False)
    assert frame.to_dict("records") == wanted, path
    columns = {"conversationId": "VARCHAR", "turnCount": "BIGINT", "turnsArray": "JSON"}
    rows = duckdb.sql(f"SELECT * FROM read_json('{path}', columns = {columns})").fetchall()
    of_duckdb = [(id, turns, json.loads(nested)) for id, turns, nested in rows]
    assert of_duckdb == [tuple(record[name] for name in columns) for record in wanted], path
    assert duckdb.sql(f"SELECT count(*) FROM '{path}'").fetchall() == [(len(wanted),)], path
files = {split: [str(path) for path, _ in parts] for split, parts in split_files.items()}
loaded = datasets.load_dataset("json", data_files=files, features=FEATURES)
for split, parts in split_files.items():
    assert list(loaded[split]) == [record for _, records in parts for record in records], split
print(json.dumps({"files": len(blobs), "records": seen, "splits": sorted(loaded)}))
