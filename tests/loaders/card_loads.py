"""Loads an exported dataset by its card alone: card_loads.py FOLDER

Every record is equal to its line, but that fields which it lacks are None: whole, and streamed where the files
have a record a line."""

import json
import sys
from pathlib import Path

import datasets

FOLDER = Path(sys.argv[1])
datasets.disable_progress_bars()
metadata = json.loads((FOLDER / "metadata.json").read_text())
lines = metadata["format"] == "jsonl"
wanted, order = {}, []
for stratum in metadata["strata"]:
    if stratum["file"] is None:
        continue
    text = (FOLDER / stratum["file"]).read_text()
    records = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
    if stratum["split"] not in order:
        order.append(stratum["split"])
    wanted.setdefault(stratum["split"], {}).update({r["conversationId"]: r for r in records})


def bare(record):
    return {name: value for name, value in record.items() if value is not None}


wrong = 0
for streaming in [False, True] if lines else [False]:
    loaded = datasets.load_dataset(str(FOLDER), streaming=streaming)
    assert len(loaded) == len(wanted), (list(loaded), order)
    for name, split in zip(loaded, order):
        found = {record["conversationId"]: record for record in loaded[name]}
        equal = sum(bare(found[id]) == bare(record) for id, record in wanted[split].items())
        wrong += len(wanted[split]) - equal
        way = "streamed" if streaming else "whole"
        print(f"{split} as {name}, {way}: {equal} of {len(wanted[split])} equal")
        assert len(found) == len(wanted[split])
sys.exit(wrong > 0)
