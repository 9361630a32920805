#!/usr/bin/env bash
# A text that looks like a date in the first shard makes the column a timestamp, and the next shard fails.
#
# Versions: datasets 5.2.0, pyarrow 26.0.1, pandas 3.1.1 (Python)
# Guess:    a JSON string loads as text, whatever it says. (That a column whose types differ between
#           shards fails is known; here both shards hold strings alone.)
# Seen:     if every value of the first shard looks like a date the column is timestamp[s]: it loads as
#           datetime objects, and a later shard with any other text ends the load. In one file the same
#           rows load as text. It strikes nested texts too: a short tool result, a message that is a day.
# Output:   one file: text; two: Failed to parse string: 'hello' as a scalar of type timestamp[s]
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


def load(name, *shards):
    os.makedirs(name)
    for index, contents in enumerate(shards):
        with open(f"{name}/train-{index}.jsonl", "w") as file:
            file.writelines(json.dumps({"messages": [{"content": c}]}) + "\n" for c in contents)
    try:
        return [row["messages"][0]["content"] for row in datasets.load_dataset(name, split="train", cache_dir="cache")]
    except Exception as error:
        return str(error.__cause__)


days = ["2025-01-01 00:00:00"] * 3
seen = load("days", days), load("one", [*days, "hello"]), load("two", days, ["hello"])
print(*seen, sep="\n")
assert [str(value) for value in seen[0]] == days and not isinstance(seen[0][0], str)
assert seen[1] == [*days, "hello"]
assert "Failed to parse string: 'hello' as a scalar of type timestamp[s]" in seen[2]
PY
HF_HUB_OFFLINE=1 HF_HOME="$dir/hf" v/bin/python look.py
