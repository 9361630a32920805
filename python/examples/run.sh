#!/usr/bin/env bash
# Executes the notebooks beside this with the wheel in dist/ (`just wheel` builds it), in target/notebook.
set -euo pipefail
cd "$(dirname "$0")/../.."
wheel="$(echo dist/gleaner_sft-*.whl)"
[ -e "$wheel" ] || { echo "no wheel in dist/: build it with \`just wheel\`" >&2; exit 1; }
place="${CARGO_TARGET_DIR:-target}/notebook"
if ! cmp -s python/examples/requirements.txt "$place/requirements.txt"; then
    python3 -m venv --clear "$place/python"
    # uv, because pip takes half an hour for torch.
    "$place/python/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
    "$place/python/bin/uv" pip install --quiet --python "$place/python/bin/python" -r python/examples/requirements.txt
    cp python/examples/requirements.txt "$place/requirements.txt"
fi
"$place/python/bin/pip" install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall "$wheel"
export HF_HUB_OFFLINE=1
"$place/python/bin/python" python/examples/execute.py python/examples/*.ipynb
