"""Loads a published dataset with Hugging Face datasets: load_folder.py FOLDER

Every split is loaded from its files, whole and streamed. Of JSON Lines each record must be equal to its
line either way; a JSON array is only loaded whole, because streamed its nested values arrive as text.
Prints what it has seen."""

import json
import os
import sys
import tempfile
from pathlib import Path

FOLDER = Path(sys.argv[1])
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=tempfile.mkdtemp(dir="."))

import datasets

datasets.disable_progress_bars()
wanted = {}
for stratum in json.loads((FOLDER / "metadata.json").read_text())["strata"]:
    if stratum["file"] is None:
        continue
    text = (FOLDER / stratum["file"]).read_text()
    lines = stratum["file"].endswith(".jsonl")
    records = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
    assert len(records) == stratum["records"], stratum
    wanted.setdefault(stratum["split"], []).extend(records)

# By pattern, as a person would: an empty file of a stratum would be among them.
ending = "jsonl" if lines else "json"
files = {split: str(FOLDER / split / f"*.{ending}") for split in wanted}
seen = {}
for streaming in [False, True]:
    loaded = datasets.load_dataset("json", data_files=files, streaming=streaming)
    for split, records in wanted.items():
        found = {record["conversationId"]: record for record in loaded[split]}
        assert len(found) == len(records), (split, streaming)
        equal = sum(found[record["conversationId"]] == record for record in records)
        assert equal == len(records) or (streaming and not lines), (split, streaming, equal)
        seen[f"{split} {'streamed' if streaming else 'whole'}"] = equal
print(json.dumps(seen))
