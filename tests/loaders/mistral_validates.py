"""Validates a dataset that `gleaner convert --for mistral` wrote with mistral-common's validators for fine-tuning.

    mistral_validates.py DATASET

Every record has to pass from version 3 to the latest one, versions with ids of nine letters and digits included; what
a version does not allow (text beside calls, before version 5) is counted apart. Needs mistral-common 1.13.1.
"""

import collections
import json
import pathlib
import sys

from mistral_common.exceptions import InvalidAssistantMessageException, MistralCommonException
from mistral_common.protocol.instruct import validator
from mistral_common.protocol.instruct.request import ChatCompletionRequest

VERSIONS = ["V3", "V5", "V11", "V13", "V15"]


def main(folder):
    refused = collections.Counter()
    records = 0
    for file in sorted(pathlib.Path(folder, "data").glob("*.jsonl")):
        for line in file.open():
            record = json.loads(line)
            records += 1
            request = ChatCompletionRequest.from_openai(messages=record["messages"], tools=record.get("tools"), model="m")
            for version in VERSIONS:
                check = getattr(validator, f"MistralRequestValidator{version}")(mode=validator.ValidationMode.finetuning)
                try:
                    check.validate_request(request)
                except MistralCommonException as error:
                    beside = isinstance(error, InvalidAssistantMessageException) and version == "V3"
                    refused[version, "text beside calls" if beside else f"{type(error).__name__}: {error}"[:120]] += 1
    for (version, why), times in sorted(refused.items()):
        print(f"{version}: {times} refused: {why}")
    print(f"{records} records")
    return 1 if not records or any(version != "V3" for version, _ in refused) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
