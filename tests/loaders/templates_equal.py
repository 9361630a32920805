"""Holds what `gleaner check` says of chat templates against what transformers renders, for each that TRL ships.

    templates_equal.py GLEANER DATASET CONVERTED

DATASET has conversations of awkward.py, CONVERTED is what `gleaner convert --for trl` made of it. A record that the
template refuses must be the same for both, lengths are equal byte for byte, and check says `template_drops_text` or
`template_drops_call` of a record if, and only if, a mark of its messages is not in what transformers renders.
"""

import json
import pathlib
import sys
import sysconfig

import loaders
from check_holds import marks, said_by_check

DROPS = {"template_drops_text", "template_drops_call"}


def rendered(tokenizer, row):
    try:
        # No marks of beginning and end, as beside the tokenizer of said_by_check.
        return tokenizer.apply_chat_template(
            row["messages"], tools=row.get("tools"), tokenize=False, bos_token="", eos_token="")
    except Exception:
        return None


def all_calls_have_marks(row):
    calls = [call for message in row["messages"] for call in message.get("tool_calls", [])]
    return all(marks(json.dumps(call["function"]["arguments"])) for call in calls)


def differences(gleaner, dataset, rows, template):
    report = said_by_check(gleaner, dataset, "trl", "transformers", template)
    said = {each["conversationId"]: each for each in report["each"]}
    tokenizer = loaders.byte_tokenizer(template)
    for row in rows:
        name, text = row["conversationId"], rendered(tokenizer, row)
        length, rules = said[name]["tokens"], set(said[name]["rules"])
        if text is None:
            if "template_fails" not in rules:
                yield f"{name}: transformers refuses it, check has {length} tokens"
            continue
        if length != len(text.encode()):
            yield f"{name}: transformers has {len(text.encode())} bytes, check {length} ({rules})"
        missing = marks(json.dumps(row["messages"])) - marks(text)
        # Of a call whose arguments have no mark only check knows.
        dropped = rules & DROPS if all_calls_have_marks(row) else rules & {"template_drops_text"}
        if bool(missing) != bool(dropped):
            yield f"{name}: without {sorted(missing)}, check says {rules}"


def main(gleaner, dataset, converted):
    rows = list(loaders.rows(converted))
    templates = sorted(pathlib.Path(sysconfig.get_path("purelib"), "trl", "chat_templates").glob("*.jinja"))
    wrong = 0
    for template in templates:
        for difference in differences(gleaner, dataset, rows, str(template)):
            wrong += 1
            print(f"  {template.stem}: {difference}")
    print(f"{len(templates)} templates, {len(rows)} records each; {wrong} differ")
    return 1 if wrong or not templates or not rows else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
