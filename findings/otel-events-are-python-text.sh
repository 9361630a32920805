#!/usr/bin/env bash
# Custom events sent through Azure Monitor's OpenTelemetry exporter hold Python's text of nested values.
#
# Versions: azure-monitor-opentelemetry-exporter 1.0.0b58, opentelemetry-sdk 1.45.2 (Python)
# Guess:    a nested attribute, such as a list of tool calls, reaches customDimensions as JSON text; a long key
#           is cut at 150 characters and a long value at 8,192 UTF-16 units, as JavaScript's sender does.
# Seen:     it is the repr of a dict, whose lists have become tuples; true is "True". A key of more than 150
#           characters is dropped with its value; values are cut at 8,192 characters, so one with letters
#           beyond the basic plane is longer than Azure's limit says. The time is rounded to the microsecond,
#           up as well as down.
# Output:   {'k': (1, None)} / True / 8192 characters, 8193 units / long key gone / ...05.123457Z
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check azure-monitor-opentelemetry-exporter==1.0.0b58 \
    opentelemetry-sdk==1.45.2 opentelemetry-api==1.45.2
cat >look.py <<'PY'
import os

from azure.monitor.opentelemetry.exporter import AzureMonitorLogExporter
from azure.monitor.opentelemetry.exporter.export._base import ExportResult
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

exporter = AzureMonitorLogExporter(
    connection_string="InstrumentationKey=00000000-0000-0000-0000-000000000000;"
    "IngestionEndpoint=https://example.invalid/",
    disable_offline_storage=True,
)
sent = []
exporter._transmit = lambda envelopes: sent.extend(envelopes) or ExportResult.SUCCESS
provider = LoggerProvider()
provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
provider.get_logger("look").emit(LogRecord(
    timestamp=1767323045123456789,
    severity_number=SeverityNumber.INFO,
    body="",
    attributes={
        "microsoft.custom_event.name": "turn",
        "calls": {"k": [1, None]},
        "agent": True,
        "long": "x" * 8191 + "\U00020000" + "y" * 10,
        "k" * 151: "value",
    },
))
event = sent[0].as_dict()
properties = event["data"]["baseData"]["properties"]
units = len(properties["long"].encode("utf-16-le")) // 2
print(event["time"], properties["calls"], properties["agent"], len(properties["long"]), units)
assert event["time"] == "2026-01-02T03:04:05.123457Z"
assert properties["calls"] == "{'k': (1, None)}"
assert properties["agent"] == "True"
assert (len(properties["long"]), units) == (8192, 8193)
assert not any(key.startswith("kkk") for key in properties)
PY
v/bin/python -W ignore look.py 2>/dev/null
