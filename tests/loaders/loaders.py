"""What each loader has of a converted dataset: the text of each record, by `conversationId`.

A record that a loader refuses or leaves out is not there. Each function runs in the environment of its loader.
"""

import json
import pathlib
import sys


def rows(converted):
    """The records as they were written, in their order."""
    for file in sorted(pathlib.Path(converted, "data").iterdir()):
        text = file.read_text()
        yield from json.loads(text) if file.suffix == ".json" else map(json.loads, text.splitlines())


def datasets(converted):
    import datasets

    loaded = datasets.load_dataset(converted).values()
    return {row["conversationId"]: json.dumps(row) for split in loaded for row in split}


def mistral(converted):
    """Those that pass every version from 5 on."""
    from mistral_common.protocol.instruct import validator
    from mistral_common.protocol.instruct.request import ChatCompletionRequest

    found = {}
    for row in rows(converted):
        request = ChatCompletionRequest.from_openai(messages=row["messages"], tools=row.get("tools"), model="m")
        refused = False
        for version in ("V5", "V11", "V13", "V15"):
            check = getattr(validator, f"MistralRequestValidator{version}")(mode=validator.ValidationMode.finetuning)
            try:
                check.validate_request(request)
            except Exception as error:
                refused = True
                print(f"  {version} refuses {row['conversationId']}: {error}"[:200])
        if not refused:
            found[row["conversationId"]] = json.dumps(row)
    return found


def llamafactory(converted):
    """As its converter gives them to a template; one that comes out empty is a row that it skips."""
    import importlib.machinery
    import types

    # Only sound needs it, and what pip resolves for 0.9.5 does not load.
    sound = types.ModuleType("torchaudio")
    sound.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    sys.modules["torchaudio"] = sound
    from datasets import load_dataset
    from llamafactory.data.converter import SharegptDatasetConverter
    from llamafactory.data.parser import DatasetAttr

    found = {}
    for name, entry in json.loads(pathlib.Path(converted, "dataset_info.json").read_text()).items():
        attr = DatasetAttr("file", name)
        attr.join(entry)
        converter = SharegptDatasetConverter(dataset_attr=attr, data_args=None)
        for row in load_dataset("json", data_files=str(pathlib.Path(converted, entry["file_name"])), split="train"):
            out = converter(row)
            if out["_prompt"] and out["_response"]:
                found[row["conversationId"]] = json.dumps(out)
    return found


def swift(converted):
    """As its preprocessor gives them to a template; it keeps the order, by which it is known which row is which."""
    from swift.dataset import load_dataset

    found = {}
    for file in sorted(pathlib.Path(converted, "data").iterdir()):
        # strict: it ends at a row that it would leave out.
        loaded, _ = load_dataset([str(file)], shuffle=False, strict=True, load_from_cache_file=False)
        ids = [json.loads(line)["conversationId"] for line in file.open()]
        assert len(ids) == len(loaded), f"{len(ids)} records, {len(loaded)} rows"
        found.update((name, json.dumps(row)) for name, row in zip(ids, loaded))
    return found


def harbor(converted):
    """The trajectories that its validator takes."""
    from harbor.utils.trajectory_validator import TrajectoryValidator

    found = {}
    for row in rows(converted):
        validator = TrajectoryValidator()
        if validator.validate(row, validate_images=False):
            found[row["session_id"]] = json.dumps(row)
        else:
            print(f"  harbor: {validator.errors}"[:300])
    return found
