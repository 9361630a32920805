#!/usr/bin/env bash
# Ray Data reads JSON lines and writes them: a date in a tool's arguments has become a number.
#
# Versions: ray 2.60.0, pyarrow 26.0.1, pandas 3.0.5 (Python)
# Guess:    `read_json` followed by `write_json` fills absent keys with null; texts stay texts.
# Seen:     a text that looks like a date becomes a timestamp where all values of that key do, however deep in
#           a record, and `write_json` writes timestamps as milliseconds since 1970: an argument
#           "2026-03-01" is written as 1772323200000, microseconds are lost, `/` becomes `\/`.
# Output:   {"id":"1","args":{"when":1772323200000,"path":"a\/b","n":null}} ...
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check "ray[data]==2.60.0" pyarrow==26.0.1 pandas==3.0.5
cat >look.py <<'PY'
import json
import os
import pathlib

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import ray
import ray.data

lines = [
    {"id": "1", "args": {"when": "2026-03-01", "path": "a/b"}},
    {"id": "2", "args": {"n": 1}},
]
pathlib.Path("in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
ray.data.DataContext.get_current().enable_progress_bars = False
ray.data.read_json("in.jsonl").write_json("out")
text = "".join(path.read_text() for path in sorted(pathlib.Path("out").iterdir()))
print(text, end="")
first = json.loads(text.splitlines()[0])
assert first["args"] == {"when": 1772323200000, "path": "a/b", "n": None}
assert r"a\/b" in text
PY
v/bin/python look.py 2>log || { tail -n 5 log >&2; exit 1; }
