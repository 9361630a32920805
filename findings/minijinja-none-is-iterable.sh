#!/usr/bin/env bash
# To minijinja `none is iterable`, so a template that asks for tools that way refuses conversations without tools.
#
# Versions: minijinja 3.1.0 (Python), jinja2 3.1.6, trl 1.16.0 (which ships the template of Nemotron 3)
# Guess:    a template that jinja2 renders, minijinja renders alike, but for numbers and what it has no method for.
# Seen:     `none is iterable` is true in minijinja and false in jinja2 ("a" is iterable to both, but a sequence to
#           jinja2 alone). nemotron_3_nano has `tools is iterable and tools | length > 0`: without tools minijinja ends
#           at the length of none.
# Output:   jinja2: False True True; minijinja: True True False; nemotron_3_nano: 108 characters, and an error
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check jinja2==3.1.6 minijinja==3.1.0
v/bin/pip install -q --disable-pip-version-check --no-deps trl==1.16.0
cat >look.py <<'PY'
import pathlib
import sysconfig

import jinja2
import minijinja

jinja = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
mini = minijinja.Environment(trim_blocks=True, lstrip_blocks=True)
PROBE = "{{ none is iterable }} {{ 'a' is iterable }} {{ 'a' is sequence }}"
one, other = jinja.from_string(PROBE).render(), mini.render_str(PROBE)
print(f"jinja2: {one}; minijinja: {other}")
assert one == "False True True" and other == "True True False"

template = pathlib.Path(sysconfig.get_path("purelib"), "trl", "chat_templates", "nemotron_3_nano.jinja").read_text()
context = {"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}], "tools": None}
print("nemotron_3_nano:", len(jinja.from_string(template).render(**context)), "characters by jinja2")
try:
    mini.render_str(template, **context)
except minijinja.TemplateError as error:
    print("minijinja:", str(error).splitlines()[0])
    assert "length" in str(error)
else:
    raise AssertionError("minijinja renders it")
PY
v/bin/python look.py
