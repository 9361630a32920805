#!/usr/bin/env bash
# A bar of tqdm that learns its length later stays an unknown length in a notebook.
#
# Versions: tqdm 4.70.1, ipywidgets 8.1.9 (Python)
# Guess:    `bar.total = n; bar.refresh()`, which lengthens a bar of the terminal, does so in a notebook.
# Seen:     the terminal's bar says 10/40; the widget keeps its length of 1, and so shows 1 of 1. Only
#           `bar.reset(total=n)`, which forgets what is done, changes it.
# Output:   terminal: 10/40 / notebook: 1 of 1 (info) / after reset: 10 of 40 ()
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check tqdm==4.70.1 ipywidgets==8.1.9
cat >look.py <<'PY'
import io

import tqdm
import tqdm.notebook


def lengthened(bar):
    bar.total, bar.n = 40, 10
    bar.refresh()
    return bar


text = io.StringIO()
lengthened(tqdm.tqdm(file=text))
print("terminal:", "10/40" if "10/40" in text.getvalue() else text.getvalue())
assert "10/40" in text.getvalue()
bar = lengthened(tqdm.notebook.tqdm(display=False))
widget = bar.container.children[1]
print(f"notebook: {widget.value:.0f} of {widget.max:.0f} ({widget.bar_style})")
assert (widget.value, widget.max, widget.bar_style) == (1, 1, "info")
bar.reset(total=40)
bar.update(10)
bar.refresh()
print(f"after reset: {widget.value:.0f} of {widget.max:.0f} ({widget.bar_style})")
assert (widget.value, widget.max) == (10, 40)
PY
v/bin/python look.py 2>log || { cat log >&2; exit 1; }
