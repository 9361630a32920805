"""Reads a converted dataset by its croissant.json: croissant_reads.py FOLDER

It is valid, each file has its digest, and the texts of all messages are there."""

import hashlib
import json
import sys
from pathlib import Path

import mlcroissant

FOLDER = Path(sys.argv[1])
described = json.loads((FOLDER / "croissant.json").read_text())
for file in described["distribution"]:
    digest = hashlib.sha256((FOLDER / file["contentUrl"]).read_bytes()).hexdigest()
    assert digest == file["sha256"], file["@id"]
dataset = mlcroissant.Dataset(str(FOLDER / "croissant.json"))
errors = dataset.metadata.ctx.issues.errors
assert not errors, errors


def text(value):
    return value.decode() if isinstance(value, bytes) else value


read = 0
for records in described["recordSet"]:
    name = records["@id"]
    field = records["field"][0]
    source = field.get("subField", [field])[0]["source"]
    file = FOLDER / source["fileObject"]["@id"]
    found = list(dataset.records(name))
    if file.suffix == ".jsonl" and field["name"] == "messages":
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert len(found) == len(lines), name
        for record, line in zip(found, lines):
            messages = record[f"{name}/messages"]
            contents = [text(message[f"{name}/messages/content"]) for message in messages]
            assert contents == [message["content"] for message in line["messages"]], name
    read += len(found)
print(f"{read} records read, of {len(described['distribution'])} files")
