#!/usr/bin/env bash
# mlcroissant reads a JSON Lines field of type sc:Text through a guess of its type: "007" becomes 7.
#
# Versions: mlcroissant 1.1.1, pandas 3.1.1 (Python)
# Guess:    the declared type decides: sc:Text gives the bytes of the string that stands in the file.
# Seen:     a column whose strings all look like numbers is a number first and text again afterwards:
#           "007" gives 7, "1.50" 1.5, "1e5" 100000.0, and "2" gives 2.0 if another row says "1.50". One
#           other text in the column, and all of them are left alone. An sc:Integer column with a null
#           goes through a double: above 2^53 it gives another number.
# Output:   ['007'] -> [b'7'] / ['1.50', '2'] -> [b'1.5', b'2.0'] / [1846988464401551951, None] -> [1846988464401551872, None]
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check mlcroissant==1.1.1 pandas==3.1.1
cat >look.py <<'PY'
import hashlib
import json
import logging

import mlcroissant

logging.disable(logging.CRITICAL)


def read(values, kind):
    with open("rows.jsonl", "w") as file:
        file.writelines(json.dumps({"id": value}) + "\n" for value in values)
    described = {
        "@context": {
            "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
            "cr": "http://mlcommons.org/croissant/", "dct": "http://purl.org/dc/terms/",
            "column": "cr:column", "conformsTo": "dct:conformsTo", "extract": "cr:extract", "field": "cr:field",
            "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "fileObject": "cr:fileObject",
            "recordSet": "cr:recordSet", "source": "cr:source",
        },
        "@type": "sc:Dataset", "name": "x", "description": "x", "url": "https://example.org/x",
        "conformsTo": "http://mlcommons.org/croissant/1.1", "version": "1.0.0", "datePublished": "2026-01-01",
        "license": "https://spdx.org/licenses/MIT.html",
        "distribution": [{
            "@type": "cr:FileObject", "@id": "file", "name": "file", "contentUrl": "rows.jsonl",
            "encodingFormat": "application/jsonlines",
            "sha256": hashlib.sha256(open("rows.jsonl", "rb").read()).hexdigest(),
        }],
        "recordSet": [{
            "@type": "cr:RecordSet", "@id": "rows", "name": "rows",
            "field": [{
                "@type": "cr:Field", "@id": "rows/id", "name": "id", "dataType": kind,
                "source": {"fileObject": {"@id": "file"}, "extract": {"column": "id"}},
            }],
        }],
    }
    json.dump(described, open("croissant.json", "w"))
    records = mlcroissant.Dataset(jsonld="croissant.json").records("rows")
    seen = [row["rows/id"] for row in records]
    print(values, "->", seen)
    return seen


assert read(["007"], "sc:Text") == [b"7"]
assert read(["1.50", "2"], "sc:Text") == [b"1.5", b"2.0"]
assert read(["1e5", "2e3"], "sc:Text") == [b"100000.0", b"2000.0"]
assert read(["007", "a"], "sc:Text") == [b"007", b"a"]
assert read([1846988464401551951], "sc:Integer") == [1846988464401551951]
assert read([1846988464401551951, None], "sc:Integer") == [1846988464401551872, None]
PY
v/bin/python -W ignore look.py
