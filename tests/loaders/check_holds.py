"""Holds what `gleaner check` says against what a loader then has, record by record.

    check_holds.py GLEANER DATASET PRESET CONVERTED [TEMPLATE]

DATASET has conversations of awkward.py, CONVERTED is what `gleaner convert --for PRESET` made of it. A record that check
calls dropped must not be there, and every other must be; one that it calls truncated must lack a mark of its source, and
every other must have them all. `trl` is loaded by datasets, `mistral` is given to mistral-common's validators. With a
template the lengths in tokens are those that jinja2, set up as transformers does, and a tokenizer of words give.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

WORDS = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
         "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
         "model": {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"}}


def marks(record):
    return set(re.findall(r"q[a-z]+[0-9]+q", json.dumps(record)))


def source(dataset):
    records = {}
    for file in pathlib.Path(dataset).glob("*/*.jsonl"):
        for line in file.open():
            record = json.loads(line)
            records[record["conversationId"]] = record
    return records


def loaded(preset, converted):
    """The records that a loader has, by id."""
    if preset == "trl":
        import datasets

        rows = [row for split in datasets.load_dataset(converted).values() for row in split]
        return {row["conversationId"]: row for row in rows}
    rows = {}
    for file in sorted(pathlib.Path(converted, "data").glob("*.json*")):
        text = file.read_text()
        lines = json.loads(text) if file.suffix == ".json" else map(json.loads, text.splitlines())
        rows.update((row["conversationId"], row) for row in lines)
    if preset == "mistral":
        from mistral_common.protocol.instruct import validator
        from mistral_common.protocol.instruct.request import ChatCompletionRequest

        for name, row in list(rows.items()):
            request = ChatCompletionRequest.from_openai(messages=row["messages"], tools=row.get("tools"), model="m")
            for version in ("V5", "V11", "V13"):
                check = getattr(validator, f"MistralRequestValidator{version}")(mode=validator.ValidationMode.finetuning)
                try:
                    check.validate_request(request)
                except Exception as error:
                    print(f"  {version} refuses {name}: {error}"[:200])
                    rows.pop(name, None)
    return rows


def rendered(template, row):
    import jinja2.sandbox

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    text = pathlib.Path(template).read_text()
    # transformers has an extension for these; without it they are blocks of no effect.
    text = re.sub(r"\{%(-?) *(end)?generation *(-?)%\}", lambda m: "{%" + m[1] + (" endif " if m[2] else " if true ") + m[3] + "%}", text)
    return environment.from_string(text).render(messages=row["messages"], tools=row.get("tools"), add_generation_prompt=False)


def main(gleaner, dataset, preset, converted, template=None):
    command = [gleaner, "check", dataset, "--for", preset, "--json", "--each"]
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = pathlib.Path(folder, "tokenizer.json")
        tokenizer.write_text(json.dumps(WORDS))
        if template:
            command += ["--tokenizer", str(tokenizer), "--template", template]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 3):
        print(done.stderr)
        return 1
    report = json.loads(done.stdout)
    sources, rows = source(dataset), loaded(preset, converted)
    wrong = 0
    for said in report["each"]:
        name, worst = said["conversationId"], said["worst"]
        row = rows.get(name)
        missing = marks(sources[name]) - marks(row)
        is_there = row is not None
        seen = "dropped" if not is_there else "truncated" if missing else "whole"
        expected = worst if worst in ("dropped", "truncated") else "whole"
        if seen != expected:
            wrong += 1
            print(f"  {name}: check says {worst} {said['rules']}, the loader has it {seen}, without {sorted(missing)}")
        if template and is_there:
            words = len(rendered(template, row).split())
            if words != said["tokens"]:
                wrong += 1
                print(f"  {name}: check counts {said['tokens']} tokens, jinja2 gives {words}")
    lost = (report["dropped"] + report["truncated"] > 0) == (done.returncode == 3)
    print(f"{preset}: {len(report['each'])} records, {report['dropped']} dropped, {report['truncated']} truncated; {wrong} differ")
    return 1 if wrong or not lost or len(report["each"]) != len(sources) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
