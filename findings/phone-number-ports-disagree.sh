#!/usr/bin/env bash
# Two ports of libphonenumber on one text of logs: one finds five German numbers, a date among them, the other none.
#
# Versions: phonenumbers 9.0.43 (Python), libphonenumber-js 1.13.16 with its full metadata (npm)
# Guess:    both are ports of one library and look for valid numbers, so they find the same ones, at the same places.
# Seen:     in Germany a number begins with 0 or +49. phonenumbers wants that in a text, libphonenumber-js does not: a
#           time in seconds, an order, a count of nanoseconds and the day 2025-01-28 are valid lines there. It also
#           reads on over a comma, so that "+49 30 901820, 415" is one number with an extension. With the United
#           States, where no prefix is due, both find ten digits that begin with 2 to 9, even 2147483647, and nothing
#           else. How many records have a phone number in them is a matter of the port and the region.
# Output:   DE: phonenumbers ['+49 30 901820'] / libphonenumber-js ['1732814994', '5104527831', '9173452211',
#           '2147483647', '2025-01-28', '+49 30 901820, 415'] / US: both the same three, and +49
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check phonenumbers==9.0.43
npm install --silent --no-fund --no-audit libphonenumber-js@1.13.16 >/dev/null
cat >look.js <<'JS'
const { findPhoneNumbersInText } = require("libphonenumber-js/max");
const [texts, region] = JSON.parse(process.argv[2]);
const found = texts.map((text) =>
  findPhoneNumbersInText(text, region).map(({ startsAt, endsAt, number }) => [
    text.slice(startsAt, endsAt),
    number.isValid(),
  ]),
);
console.log(JSON.stringify(found.flat()));
JS
cat >look.py <<'PY'
import json
import subprocess

import phonenumbers

TEXTS = [
    "started 1732814994, order 5104527831, took 9173452211 ns",
    '{"largest": 2147483647}',
    "due 2025-01-28",
    "call +49 30 901820, 415 if it fails",
]


def look(region):
    ported = json.loads(subprocess.check_output(["node", "look.js", json.dumps([TEXTS, region])]))
    assert all(valid for _, valid in ported)
    by_python = [match.raw_string for text in TEXTS for match in phonenumbers.PhoneNumberMatcher(text, region)]
    by_node = [text for text, _ in ported]
    print(region, by_python, by_node, sep=" | ")
    return by_python, by_node


by_python, by_node = look("DE")
assert by_python == ["+49 30 901820"]
assert by_node == ["1732814994", "5104527831", "9173452211", "2147483647", "2025-01-28", "+49 30 901820, 415"]
by_python, by_node = look("US")
assert by_python == ["5104527831", "9173452211", "2147483647", "+49 30 901820"]
assert by_node == [*by_python[:3], "+49 30 901820, 415"]
PY
v/bin/python look.py
