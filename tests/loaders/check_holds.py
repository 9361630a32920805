"""Holds what `gleaner check` says against what a loader then has, record by record.

    check_holds.py GLEANER DATASET PRESET CONVERTED LOADER [TEMPLATE]

DATASET has conversations of awkward.py, CONVERTED is what `gleaner convert --for PRESET` made of it, and LOADER is one
of loaders.py. A record that check calls dropped must not be there, and every other must be; one that it calls truncated
must lack a mark of its source, and every other must have them all. With a template the lengths in tokens are those of
the loader; where it has none, those that jinja2, set up as transformers does, and a tokenizer of words give.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import loaders

WORDS = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
         "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
         "model": {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"}}
# Those that count tokens themselves, with a tokenizer of bytes.
COUNT = {"transformers", "trl", "axolotl", "verl"}
# Records with other tokens than check counts: columns of definitions that other records have are null, and a template
# shows them (docs/loaders.md).
WITH_NULLS = {"verl": {"toolsother"}}
# Findings that a loader bears out by itself, not by lacking a mark.
OWN = {"max_length", "text_with_calls"}


def marks(text):
    return set(re.findall(r"q[a-z]+[0-9]+q", text))


def source(dataset):
    records = {}
    for file in pathlib.Path(dataset).glob("*/*.jsonl"):
        for line in file.open():
            records[json.loads(line)["conversationId"]] = line
    return records


def rendered(template, row):
    import jinja2.sandbox

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    text = pathlib.Path(template).read_text()
    # transformers has an extension for these; without it they are blocks of no effect.
    text = re.sub(r"\{%(-?) *(end)?generation *(-?)%\}", lambda m: "{%" + m[1] + (" endif " if m[2] else " if true ") + m[3] + "%}", text)
    return environment.from_string(text).render(messages=row["messages"], tools=row.get("tools"), add_generation_prompt=False)


def said_by_check(gleaner, dataset, preset, loader, template):
    command = [gleaner, "check", dataset, "--for", preset, "--json", "--each"]
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = pathlib.Path(folder, "tokenizer.json")
        if template and loader in COUNT:
            loaders.byte_tokenizer(template).backend_tokenizer.save(str(tokenizer))
        else:
            tokenizer.write_text(json.dumps(WORDS))
        if template:
            command += ["--tokenizer", str(tokenizer), "--template", template]
        if loader == "trl":
            command += ["--max-length", str(loaders.LONGEST)]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 3), done.stderr
    report = json.loads(done.stdout)
    assert (report["dropped"] + report["truncated"] > 0) == (done.returncode == 3)
    return report


def main(gleaner, dataset, preset, converted, loader, template=None):
    report = said_by_check(gleaner, dataset, preset, loader, template)
    arguments = [converted] + ([template] if loader in COUNT else [])
    sources, found = source(dataset), getattr(loaders, loader)(*arguments)
    written = {row["conversationId"]: row for row in loaders.rows(converted)} if preset in ("trl", "mistral") else {}
    wrong = 0
    for said in report["each"]:
        name, rules = said["conversationId"], said["rules"]
        text, tokens, own = (*found.get(name, ("", None)), {})[:3]
        missing = marks(sources[name]) - marks(text)
        seen = "dropped" if name not in found else "truncated" if missing else "whole"
        worst = said["worst"]
        if worst == "truncated" and set(rules) & OWN == {"max_length"} and not losses(report, rules) - OWN:
            worst = "whole"
        expected = worst if worst in ("dropped", "truncated") else "whole"
        if seen != expected:
            wrong += 1
            print(f"  {name}: check says {said['worst']} {rules}, the loader has it {seen}, without {sorted(missing)}")
        for rule, applies in own.items():
            if applies != (rule in rules):
                wrong += 1
                print(f"  {name}: {rule} is {applies} of the loader, check says {rules}")
        if template and name in found:
            if tokens is None:
                tokens = len(rendered(template, written[name]).split())
            if (tokens != said["tokens"]) != (name in WITH_NULLS.get(loader, ())):
                wrong += 1
                print(f"  {name}: check counts {said['tokens']} tokens, the loader {tokens}")
    print(f"{loader}: {len(report['each'])} records, {len(found)} loaded, {report['dropped']} dropped, "
          f"{report['truncated']} truncated; {wrong} differ")
    return 1 if wrong or len(report["each"]) != len(sources) else 0


def losses(report, rules):
    """The rules of a record by which something is not trained on."""
    kinds = {rule["rule"]: rule["kind"] for rule in report["rules"]}
    return {rule for rule in rules if kinds[rule] in ("dropped", "truncated")}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
