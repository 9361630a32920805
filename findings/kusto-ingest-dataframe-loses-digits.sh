#!/usr/bin/env bash
# A DataFrame that is sent to Kusto arrives with milliseconds, and with ten digits behind the point.
#
# Versions: azure-kusto-ingest 6.0.4, pandas 3.1.1 (Python)
# Guess:    `ingest_from_dataframe` writes datetimes with all the digits that a datetime column keeps (seven), and
#           floats as JSON of Python does, within objects of a dynamic column too.
# Seen:     it writes JSON lines by default, and those have milliseconds and ten digits: 00:00:00.123456 is
#           00:00:00.123, 1e-12 is 0.0, an integer beside a null is 1.0. As CSV it has all digits, but what is within
#           a dynamic column is Python's repr, which is no JSON.
# Output:   {"at":"2026-03-01T00:00:00.123Z","turns":[{"latency":1.123456789,"tiny":0.0}],"tokens":1.0}
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check azure-kusto-ingest==6.0.4 pandas==3.1.1
cat >look.py <<'PY'
import gzip
import json

import pandas
from azure.kusto.data.data_format import DataFormat
from azure.kusto.ingest import IngestionProperties
from azure.kusto.ingest.base_ingest_client import BaseIngestClient


class Client(BaseIngestClient):
    """Keeps what it would send."""

    def ingest_from_file(self, file_descriptor, ingestion_properties):
        self.sent = gzip.open(file_descriptor, "rt").read()

    def ingest_from_stream(self, stream_descriptor, ingestion_properties):
        raise NotImplementedError

    def set_proxy(self, proxy_url):
        raise NotImplementedError


def sent(frame, data_format=None):
    client = Client()
    client.ingest_from_dataframe(frame, IngestionProperties(database="d", table="t"), data_format)
    print(client.sent)
    return client.sent


frame = pandas.DataFrame({
    "at": pandas.to_datetime(["2026-03-01T00:00:00.123456Z", "2026-03-01T00:00:00.123789Z"]),
    "turns": [[{"latency": 1.12345678901, "tiny": 1e-12}], []],
    "tokens": [1, None],
})
first, second = map(json.loads, sent(frame).splitlines())
assert first["at"] == second["at"] == "2026-03-01T00:00:00.123Z"
assert first["turns"] == [{"latency": 1.123456789, "tiny": 0.0}]
assert "\"tokens\":1.0" in sent(frame)
csv = sent(frame, DataFormat.CSV)
assert "00:00:00.123456+00:00" in csv and "{'latency': 1.12345678901, 'tiny': 1e-12}" in csv
PY
v/bin/python look.py
