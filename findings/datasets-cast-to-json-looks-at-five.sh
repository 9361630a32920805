#!/usr/bin/env bash
# A cast of texts to JSON decides by the first five rows; if those are numbers, the rows after them cannot be read.
#
# Versions: datasets 5.2.0, pyarrow 26.0.1, pandas 3.1.1 (Python)
# Guess:    `cast` gives what building the same rows with the same features gives, or raises.
# Seen:     `Dataset.from_list(rows, features=...)` decides row by row. `cast` and `cast_column` try five rows: if all
#           parse, every text of the column is stored as if it were JSON, and the cast says nothing. The first row of
#           prose raises when it is read, maybe days later, at that step of a training run. If one of the five is
#           prose, all are encoded, and the same numbers stay text: the order of rows decides what they are.
# Output:   built: [1, 2, 3, 4, 5, 'prose']; cast: row 5 raises ValueError; prose first: ['prose', '1', ..., '5']
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1
cat >look.py <<'PY'
import datasets
from datasets import Dataset, Features, Json

datasets.disable_progress_bars()
datasets.logging.set_verbosity_error()
FEATURES = Features({"result": Json()})
NUMBERS, PROSE = ["1", "2", "3", "4", "5"], ["prose"]


def read(rows):
    found = []
    for index in range(len(rows)):
        try:
            found.append(rows[index]["result"])
        except ValueError as error:
            found.append(f"row {index} raises {type(error).__name__}")
    return found


def cast(texts):
    return read(Dataset.from_dict({"result": texts}).cast(FEATURES))


built = read(Dataset.from_list([{"result": text} for text in NUMBERS + PROSE], features=FEATURES))
late, early = cast(NUMBERS + PROSE), cast(PROSE + NUMBERS)
print("built:", built)
print("cast:", late)
print("prose first:", early)
assert built == [1, 2, 3, 4, 5, "prose"]
assert late == [1, 2, 3, 4, 5, "row 5 raises ValueError"]
assert early == PROSE + NUMBERS
PY
HF_HUB_OFFLINE=1 HF_DATASETS_CACHE="$dir/cache" v/bin/python look.py
