"""Reads a dataset that `gleaner convert --for llamafactory` wrote with LLaMA-Factory's own converter.

    llamafactory_reads.py DATASET

Every row is taken, roles stand in turns, and every text of it comes out. Needs llamafactory 0.9.5 and the datasets
4.0.0 that it pins, in an environment of their own.
"""

import importlib.machinery
import json
import pathlib
import sys
import types

# Only sound needs it, and what pip resolves for 0.9.5 (torch 2.15 of CUDA 13.2, torchaudio of CUDA 13.0) does not load.
sound = types.ModuleType("torchaudio")
sound.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
sys.modules["torchaudio"] = sound

from datasets import load_dataset
from llamafactory.data.converter import SharegptDatasetConverter
from llamafactory.data.parser import DatasetAttr


def main(folder):
    folder = pathlib.Path(folder)
    info = json.loads((folder / "dataset_info.json").read_text())
    wrong = rows = 0
    for name, entry in sorted(info.items()):
        attr = DatasetAttr("file", name)
        attr.join(entry)
        # The converter is given nothing to find media in.
        converter = SharegptDatasetConverter(dataset_attr=attr, data_args=None)
        path = folder / entry["file_name"]
        records = json.loads(path.read_text())
        for record, row in zip(records, load_dataset("json", data_files=str(path), split="train"), strict=True):
            rows += 1
            out = converter(row)
            texts = [message["content"] for message in out["_prompt"] + out["_response"]]
            wanted = [message["value"] for message in record["conversations"]]
            calls = [json.loads(message["value"]) for message in record["conversations"] if message["from"] == "function_call"]
            good = texts == wanted and len(texts) % 2 == 0 and out["_system"] == record["system"] and out["_tools"] == record["tools"]
            wrong += not (good and all(isinstance(call["arguments"], dict) for call in calls))
    print(f"{rows} rows, {wrong} wrong")
    return 1 if wrong or not rows else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
