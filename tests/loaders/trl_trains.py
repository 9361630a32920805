"""Trains one step with TRL on a dataset that `gleaner convert --for trl` wrote.

    trl_trains.py DATASET [TEMPLATE]...

For each template that TRL ships, with and without `assistant_only_loss`: as many rows are trained as the dataset
has, and every text, call and result of every record is found in the decoded tokens. Needs trl 1.16.0 and
datasets 5.2.0; the model is tiny, random, and on the CPU.
"""

import json
import pathlib
import sys
import tempfile

import trl
from datasets import load_dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATES = ["qwen3_training", "glm4moe_training", "qwen2_5_training"]


def tokenizer(template):
    """A byte-level tokenizer, in which every text comes back as it was."""
    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    model.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=len(alphabet) + 2, initial_alphabet=alphabet, special_tokens=["<eos>", "<pad>"])
    model.train_from_iterator([], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=model, eos_token="<eos>", pad_token="<pad>")
    folder = pathlib.Path(trl.__file__).parent / "chat_templates"
    fast.chat_template = (folder / f"{template}.jinja").read_text()
    return fast


def spellings(text):
    """How a template may show a text: as it is, trimmed, or as a JSON string."""
    text = text.strip()
    return {text, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]}


def leaves(value):
    """The texts and numbers of a JSON value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, bool) or value is None:
        return
    else:
        yield json.dumps(value)


def missing(record, text):
    """What of a record is not in a text."""
    for message in record["messages"]:
        wanted = [message["content"]]
        for call in message.get("tool_calls", []):
            wanted += [call["function"]["name"], *leaves(call["function"]["arguments"])]
        for part in wanted:
            if part.strip() and not any(spelling in text for spelling in spellings(part)):
                yield message["role"], len(part)


def nulls(record, text):
    """Nulls in a text that the record does not have."""
    return max(0, text.count("null") + text.count("None") - str(record).count("null") - str(record).count("None"))


def main(folder, templates):
    dataset = load_dataset(folder, split="train")
    lines = sorted(pathlib.Path(folder, "data").glob("train-*"))
    if lines[0].suffix == ".jsonl":
        records = [json.loads(line) for file in lines for line in file.open()]
    else:
        records = [{k: v for k, v in row.items() if v is not None} for row in dataset]
    wrong = 0
    for template in templates:
        for assistant_only in (True, False):
            words = tokenizer(template)
            model = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=1 << 20))
            with tempfile.TemporaryDirectory() as out:
                config = trl.SFTConfig(out, max_steps=1, per_device_train_batch_size=1, max_length=None, assistant_only_loss=assistant_only, report_to=[], use_cpu=True, save_strategy="no", disable_tqdm=True, bf16=False)
                trainer = trl.SFTTrainer(model=model, args=config, train_dataset=dataset, processing_class=words)
                loss = trainer.train().training_loss
                trained = [words.decode(row["input_ids"]) for row in trainer.train_dataset]
            lost = [problem for record, text in zip(records, trained) for problem in missing(record, text)]
            invented = sum(nulls(record, text) for record, text in zip(records, trained))
            good = len(trained) == len(records) and not lost and not invented and loss == loss
            wrong += not good
            print(f"{template} assistant_only={assistant_only}: {len(records)} rows in, {len(trained)} trained, "
                  f"{len(lost)} texts not found {sorted(set(role for role, _ in lost))}, {invented} nulls invented, loss {loss:.3f}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:] or TEMPLATES))
