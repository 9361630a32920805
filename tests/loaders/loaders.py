"""What each loader has of a converted dataset, by `conversationId`: its text, and its length in tokens where it has one.

A record that a loader refuses or leaves out is not there. Each function runs in the environment of its loader.
"""

import json
import pathlib
import sys
import tempfile

# The number of tokens at which loaders that cut are told to cut.
LONGEST = 2000


def rows(converted):
    """The records as they were written, in their order."""
    for file in sorted(pathlib.Path(converted, "data").iterdir()):
        if file.suffix == ".parquet":
            import pyarrow.parquet

            yield from pyarrow.parquet.read_table(file).to_pylist()
        else:
            text = file.read_text()
            yield from json.loads(text) if file.suffix == ".json" else map(json.loads, text.splitlines())


def byte_tokenizer(template):
    """A tokenizer of bytes, in which every text comes back as it was."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(alphabet)}, merges=[]))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    words.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>", pad_token="<pad>")
    fast.chat_template = pathlib.Path(template).read_text()
    return fast


def datasets(converted):
    import datasets

    loaded = datasets.load_dataset(converted).values()
    return {row["conversationId"]: (json.dumps(row), None) for split in loaded for row in split}


def transformers(converted, template):
    """The tokens of a chat template as transformers renders it, of what datasets loads."""
    import datasets

    words = byte_tokenizer(template)
    found = {}
    for split in datasets.load_dataset(converted).values():
        for row in split:
            tokens = words.apply_chat_template(row["messages"], tools=row["tools"] or None, return_dict=False)
            found[row["conversationId"]] = (words.decode(tokens), len(tokens))
    return found


def mistral(converted):
    """Those that pass every version from 5 on; version 3 is held against a word of its own."""
    from mistral_common.protocol.instruct import validator
    from mistral_common.protocol.instruct.request import ChatCompletionRequest

    found = {}
    for row in rows(converted):
        request = ChatCompletionRequest.from_openai(messages=row["messages"], tools=row.get("tools"), model="m")
        refused = []
        for version in ("V3", "V5", "V11", "V13", "V15"):
            check = getattr(validator, f"MistralRequestValidator{version}")(mode=validator.ValidationMode.finetuning)
            try:
                check.validate_request(request)
            except Exception as error:
                refused.append(version)
                if version != "V3":
                    print(f"  {version} refuses {row['conversationId']}: {error}"[:200])
        if refused in ([], ["V3"]):
            found[row["conversationId"]] = (json.dumps(row), None, {"text_with_calls": bool(refused)})
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
                found[row["conversationId"]] = (json.dumps(out), None)
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
        found.update((name, (json.dumps(row), None)) for name, row in zip(ids, loaded))
    return found


def axolotl(converted, template):
    """The tokens of its chat template strategy."""
    from axolotl.prompt_strategies.chat_template import ChatTemplatePrompter, ChatTemplateStrategy

    words = byte_tokenizer(template)
    prompter = ChatTemplatePrompter(words, chat_template=words.chat_template, field_messages="messages",
        message_property_mappings={"role": "role", "content": "content", "name": "name"}, max_length=1 << 22)
    strategy = ChatTemplateStrategy(prompter, tokenizer=words, train_on_inputs=False, sequence_len=1 << 22,
        roles_to_train=["assistant"], train_on_eos="none")
    found = {}
    for row in rows(converted):
        try:
            tokens = strategy.tokenize_prompt(row)["input_ids"]
        except Exception as error:
            print(f"  axolotl refuses {row['conversationId']}: {type(error).__name__} {error}"[:200])
            continue
        found[row["conversationId"]] = (words.decode(tokens), len(tokens))
    return found


def verl(converted, template):
    """The tokens of its dataset class, which ends if a record is not equal message by message and as a whole."""
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

    words = byte_tokenizer(template)
    config = {"max_length": 1 << 22, "pad_mode": "no_padding", "truncation": "error"}
    files = [str(file) for file in sorted(pathlib.Path(converted, "data").iterdir())]
    loaded = MultiTurnSFTDataset(files, words, config)
    found = {}
    for place, row in enumerate(rows(converted)):
        try:
            tokens = loaded[place]["input_ids"].tolist()
        except Exception as error:
            print(f"  verl refuses {row['conversationId']}: {type(error).__name__} {error}"[:200])
            continue
        found[row["conversationId"]] = (words.decode(tokens), len(tokens))
    return found


def harbor(converted):
    """The trajectories that its validator takes."""
    from harbor.utils.trajectory_validator import TrajectoryValidator

    found = {}
    for row in rows(converted):
        validator = TrajectoryValidator()
        if validator.validate(row, validate_images=False):
            found[row["session_id"]] = (json.dumps(row), None)
        else:
            print(f"  harbor: {validator.errors}"[:300])
    return found


def trl(converted, template):
    """The tokens that SFTTrainer trains on, whole; and, cut at LONGEST, how many are left."""
    import trl
    from datasets import load_dataset
    from transformers import LlamaConfig, LlamaForCausalLM

    words = byte_tokenizer(template)
    splits = load_dataset(converted)
    found = {}
    for split in splits.values():
        left = {}
        for longest in (None, LONGEST):
            model = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), hidden_size=16, intermediate_size=16,
                num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=1 << 20))
            with tempfile.TemporaryDirectory() as out:
                config = trl.SFTConfig(out, max_steps=1, max_length=longest, report_to=[], use_cpu=True, bf16=False)
                trainer = trl.SFTTrainer(model=model, args=config, train_dataset=split, processing_class=words)
                left[longest] = [row["input_ids"] for row in trainer.train_dataset]
        assert len(split) == len(left[None]) == len(left[LONGEST]), "a row is lost"
        for row, whole, cut in zip(split, left[None], left[LONGEST]):
            lost = {"max_length": len(cut) < len(whole)}
            found[row["conversationId"]] = (words.decode(whole), len(whole), lost)
    return found
