#!/usr/bin/env bash
# The check of a training file passes conversations that have no answer, no role or no messages at all.
#
# Versions: together 3.1.1 (Python)
# Guess:    `check_file(file, "fine-tune")`, which is behind `together files check`, refuses a conversation without a
#           message of the model, a role that does not exist, content that is a number, and a file that mixes two
#           formats; releases of before version 3 had rules for each of these.
# Seen:     it says "Checks passed" to all of them: every line has to be a JSON object, and that is all. What is wrong
#           with a set is first heard of from the service, after the upload.
# Output:   no answer, unknown role, number as content, no messages, no known field, two formats: passed; [1]: refused
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check together==3.1.1
cat >look.py <<'PY'
import json

from together.lib.utils.files import check_file

USER, MODEL = {"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}


def passes(name, *rows):
    with open("set.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    report = check_file("set.jsonl", "fine-tune")
    print(f"{name}: {report['message'][:60]}")
    return report["is_check_passed"]


assert passes("as it should be", {"messages": [USER, MODEL]})
assert passes("no answer", {"messages": [USER]})
assert passes("unknown role", {"messages": [USER, {"role": "robot", "content": "x"}]})
assert passes("number as content", {"messages": [USER, {"role": "assistant", "content": 1}]})
assert passes("no messages", {"messages": []})
assert passes("no known field", {"colour": "red"})
assert passes("two formats", {"messages": [USER, MODEL]}, {"prompt": "p", "completion": "c"})
assert not passes("not an object", [1])
PY
v/bin/python look.py
