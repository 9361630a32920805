#!/usr/bin/env bash
# One in eleven times in seconds is a patient's number with the score 1.0, one in ten in microseconds a credit card.
#
# Versions: presidio-analyzer 2.2.366 (Python), its recognizers by pattern for English, without a model
# Guess:    a number beside the key `time`, without a word such as "card" or "patient" near it, scores low. At most one
#           in a hundred times is found with certainty.
# Seen:     a checksum that fits lifts a match to 1.0, whatever stands around it, so no threshold sorts it out. Ten
#           digits are a number of the British health service (checksum by 11), sixteen that begin with 1 a card
#           (Luhn). Milliseconds are left out by the pattern, nanoseconds are too long. A hexadecimal trace id of a
#           span has the form of a medical licence now and then. A share of records with personal data that counts
#           telemetry's own fields measures clocks.
# Output:   seconds UK_NHS 93 of 1000, milliseconds none, microseconds CREDIT_CARD 101, trace ids MEDICAL_LICENSE 15
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check presidio-analyzer==2.2.366
cat >look.py <<'PY'
import collections
import json
import logging
import random

from presidio_analyzer import PatternRecognizer, RecognizerRegistry

logging.disable(logging.CRITICAL)
registry = RecognizerRegistry(supported_languages=["en"])
registry.load_predefined_recognizers(languages=["en"])
recognizers = [each for each in registry.recognizers if isinstance(each, PatternRecognizer)]


def certain(name, values):
    """How many values are found with the score 1.0, by kind."""
    found = collections.Counter()
    for value in values:
        text = json.dumps({name: value})
        found.update({
            result.entity_type
            for recognizer in recognizers
            for result in recognizer.analyze(text, recognizer.supported_entities, None)
            if result.score == 1.0
        })
    print(name, dict(found), "of", len(values))
    return found


chance = random.Random(1)
times = range(1000)
assert certain("seconds", [1760000000 + 37 * i for i in times]) == {"UK_NHS": 93}
assert certain("milliseconds", [1760000000000 + 37123 * i for i in times]) == {}
assert certain("microseconds", [1760000000000000 + 37123457 * i for i in times]) == {"CREDIT_CARD": 101}
assert certain("traceId", [f"{chance.getrandbits(128):032x}" for _ in times]) == {"MEDICAL_LICENSE": 15}
PY
v/bin/python -W ignore look.py
