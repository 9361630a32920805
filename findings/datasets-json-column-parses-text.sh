#!/usr/bin/env bash
# A text in a JSON column comes back as the number, null or object that its characters spell.
#
# Versions: datasets 5.2.0, pyarrow 26.0.1, pandas 3.1.1 (Python)
# Guess:    a column of type `json` gives every value back as it stood in the line: texts as texts.
# Seen:     a text that parses is taken for encoded JSON, though the line had it in quotes: "007" is the number 7,
#           "null" is no value, '{"k": 1}' is an object. Nobody needs to ask for the type: one object in a column of
#           texts makes the loader choose it, for a field within a list of messages too. Texts within an object that
#           is declared as a whole (`list: json`) stay. Eager and streamed are alike.
# Output:   declared: [7, None, {'k': 1}, 'prose']; chosen by the loader: [7, {'k': 1}]; whole messages: exact
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1
cat >look.py <<'PY'
import json

import datasets
from datasets import Features, Json, List

datasets.disable_progress_bars()
datasets.logging.set_verbosity_error()


def loaded(name, rows, features=None):
    with open(f"{name}.jsonl", "w") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
    both = []
    for streaming in (False, True):
        rows = datasets.load_dataset(
            "json", data_files=f"{name}.jsonl", split="train", features=features, streaming=streaming
        )
        both.append(list(rows))
    assert both[0] == both[1]
    return both[0]


texts = ["007", "null", '{"k": 1}', "prose"]
declared = [row["a"] for row in loaded("declared", [{"a": text} for text in texts], Features({"a": Json()}))]
messages = [{"role": "tool", "content": "007"}, {"role": "tool", "content": {"k": 1}}]
chosen = [message["content"] for message in loaded("chosen", [{"messages": messages}])[0]["messages"]]
whole = loaded("whole", [{"messages": messages}], Features({"messages": List(Json())}))[0]["messages"]
print("declared:", declared)
print("chosen by the loader:", chosen)
print("whole messages:", whole)
assert declared == [7, None, {"k": 1}, "prose"]
assert chosen == [7, {"k": 1}]
assert whole == messages
PY
HF_HUB_OFFLINE=1 HF_DATASETS_CACHE="$dir/cache" v/bin/python look.py
