#!/usr/bin/env bash
# mlcroissant cannot read a text column that is called `timestamp` or `created_at`; called `when` it can.
#
# Versions: mlcroissant 1.1.1, pandas 3.1.1 (Python)
# Guess:    the name of a JSON Lines column has no meaning, only its declared type (sc:Text) has.
# Seen:     by its name (timestamp..., modified, date, ..._at, ..._time) a column is turned into instants
#           if its values look like them, and then they cannot be read as text. For `..._at` it is enough
#           that they look like a number of seconds. With other values, or another name, it reads well.
# Output:   when -> [b'2026-01-05T10:00:00Z'] / timestamp -> cannot convert 'Timestamp' object to bytes
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


def read(column, values):
    with open("rows.jsonl", "w") as file:
        file.writelines(json.dumps({column: value}) + "\n" for value in values)
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
                "@type": "cr:Field", "@id": "rows/field", "name": "field", "dataType": "sc:Text",
                "source": {"fileObject": {"@id": "file"}, "extract": {"column": column}},
            }],
        }],
    }
    json.dump(described, open("croissant.json", "w"))
    try:
        seen = [row["rows/field"] for row in mlcroissant.Dataset(jsonld="croissant.json").records("rows")]
    except Exception as error:
        while error.__cause__ or error.__context__:
            error = error.__cause__ or error.__context__
        seen = str(error)
    print(column, values, "->", seen)
    return seen


day = "2026-01-05T10:00:00Z"
assert read("when", [day]) == [day.encode()]
for column in ("timestamp", "Timestamp", "created_at", "modified", "date"):
    assert read(column, [day]) == "cannot convert 'Timestamp' object to bytes"
assert read("timestamp", ["hello"]) == [b"hello"]
assert read("finished_at", ["1767607200"]) == "cannot convert 'Timestamp' object to bytes"


PY
v/bin/python -W ignore look.py
