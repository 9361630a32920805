#!/usr/bin/env bash
# Objects of a list come back with nulls that they do not have, only if they lie in another shard than the first.
#
# Versions: datasets 5.2.0, pyarrow 26.0.1, pandas 3.1.1 (Python)
# Guess:    objects with different keys in one column are either united by nulls or kept as JSON, by their keys; how
#           the rows are spread over files does not matter.
# Seen:     in one file the column becomes JSON and every object is as it was. In two files the first decides: if its
#           objects are alike the column is a struct, a later object that lacks a key gets it as null, without a word,
#           and one that has another key ends the load. `tools` of an SFT dataset are such objects: chat templates
#           show the null. With features in the dataset card (`list: json`) both load as they are.
# Output:   one file: exact; fewer keys later: strict=None; more keys later: Couldn't cast; with a card: exact
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1
cat >look.py <<'PY'
import json
import os

import datasets

datasets.disable_progress_bars()
datasets.logging.set_verbosity_error()
CARD = """---
dataset_info:
  config_name: default
  features:
  - name: tools
    list: json
configs:
- config_name: default
  data_files: "*.jsonl"
---
"""
PLAIN = {"name": "f", "description": "d"}
STRICT = {"name": "g", "description": "d", "strict": True}


def load(name, *shards, card=False):
    os.makedirs(name)
    for index, tools in enumerate(shards):
        with open(f"{name}/{index}.jsonl", "w") as file:
            for tool in tools:
                file.write(json.dumps({"tools": [tool]}) + "\n")
    if card:
        with open(f"{name}/README.md", "w") as file:
            file.write(CARD)
    try:
        rows = datasets.load_dataset(name, split="train")
    except datasets.exceptions.DatasetGenerationError as error:
        return str(error.__cause__)
    return [tool for row in rows for tool in row["tools"]]


one_file = load("one", [STRICT, PLAIN])
fewer = load("fewer", [STRICT], [PLAIN])
more = load("more", [PLAIN], [STRICT])
with_card = [load("card-fewer", [STRICT], [PLAIN], card=True), load("card-more", [PLAIN], [STRICT], card=True)]
print("one file:", one_file)
print("fewer keys later:", fewer)
print("more keys later:", more)
print("with a card:", with_card)
assert one_file == [STRICT, PLAIN]
assert fewer == [STRICT, {**PLAIN, "strict": None}]
assert "Couldn't cast" in more
assert with_card == [[STRICT, PLAIN], [PLAIN, STRICT]]
PY
HF_HUB_OFFLINE=1 HF_DATASETS_CACHE="$dir/cache" v/bin/python look.py
