#!/usr/bin/env bash
# A chat template gives other text for a float in minijinja than in Jinja, in two ways.
#
# Versions: minijinja 3.1.0 (Python), jinja2 3.1.6
# Guess:    minijinja, which inference servers in Rust render chat templates with and whose Python package prints
#           None and True as Jinja does, also prints numbers as Jinja does; `tojson` at least, since both write JSON.
# Seen:     `{{ x }}` never uses an exponent: 1e16 is 10000000000000000.0, 1e-07 is 0.0000001. `tojson` uses one, but
#           writes 1e-7 where Python writes 1e-07. Floats between 0.0001 and 1e15 are alike. So a model that was
#           trained on tool arguments with small numbers is served other tokens than it saw.
# Output:   1e16: '1e+16 1e+16' and '10000000000000000.0 1e+16'; 1e-07: '1e-07 1e-07' and '0.0000001 1e-7'
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check minijinja==3.1.0 jinja2==3.1.6
cat >look.py <<'PY'
import jinja2
import minijinja

TEMPLATE = "{{ x }} {{ x | tojson }}"
jinja, mini = jinja2.Environment(), minijinja.Environment()


def both(x):
    texts = jinja.from_string(TEMPLATE).render(x=x), mini.render_str(TEMPLATE, x=x)
    print(repr(x), *map(repr, texts))
    return texts


for alike in (1.0, 0.5, 0.0001, 123456.789, 1e15, -2.5, True, None, 10**20, [1.0, "a"], {"k": None}):
    one, other = both(alike)
    assert one == other, alike
assert both(1e16) == ("1e+16 1e+16", "10000000000000000.0 1e+16")
assert both(1e-07) == ("1e-07 1e-07", "0.0000001 1e-7")
PY
v/bin/python look.py
