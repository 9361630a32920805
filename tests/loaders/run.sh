#!/usr/bin/env bash
# Gives converted datasets to the trainers that they are for: tests/loaders/run.sh [DATASET]
# Installs pinned packages under target/loaders (about 15 GB, most of it torch); the first time takes half an hour.
# Without a dataset, one of synthetic conversations is made.
set -euo pipefail
cd "$(dirname "$0")/../.."
place="${CARGO_TARGET_DIR:-target}/loaders"
mkdir -p "$place"
place=$(cd "$place" && pwd)

# uv, as it links what environments share: torch is there once.
if [ ! -e "$place/uv/bin/uv" ]; then
    python3 -m venv "$place/uv"
    "$place/uv/bin/pip" install --quiet uv==0.13.9
fi
export UV_CACHE_DIR="$place/cache" UV_LINK_MODE=hardlink

# An environment of its own for packages that pin each other: environment NAME PACKAGE...
environment() {
    local name=$1
    shift
    if [ ! -e "$place/$name/installed" ]; then
        "$place/uv/bin/uv" venv --quiet --clear --python python3 "$place/$name"
        "$place/uv/bin/uv" pip install --quiet --python "$place/$name/bin/python" "$@"
        touch "$place/$name/installed"
    fi
}

cargo build --quiet --features tokenizer
gleaner="$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/debug/gleaner"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dataset=${1:-}
if [ -z "$dataset" ]; then
    (cd "$work" && "$gleaner" synth --conversations 400 --out in >/dev/null &&
        "$gleaner" export --input in --out out --name d --targets all --progress none >/dev/null)
    dataset="$work/out/d"
fi
export HF_HUB_OFFLINE=1 HF_DATASETS_CACHE="$work/cache" TOKENIZERS_PARALLELISM=false
failed=0

# Converts and shows: try NAME PRESET ENVIRONMENT SCRIPT ARGUMENT...
try() {
    local name=$1 preset=$2 environment=$3 script=$4
    shift 4
    local done=0
    "$gleaner" convert "$dataset" --for "$preset" --out "$work/converted" --name "$name" "$@" >/dev/null || done=$?
    # 3: some records were dropped, which the converted dataset accounts for.
    [ "$done" = 0 ] || [ "$done" = 3 ] || return "$done"
    echo "== $name: $script"
    "$place/$environment/bin/python" "tests/loaders/$script" "$work/converted/$name" 2>/dev/null || failed=1
}

# Holds what check says of awkward conversations against what a loader has: holds PRESET LOADER [TEMPLATE]
holds() {
    local done=0
    "$gleaner" convert "$work/out/awkward" --for "$1" --out "$work/converted" >/dev/null || done=$?
    [ "$done" = 0 ] || [ "$done" = 3 ] || return "$done"
    local environment=$2
    [ "$2" != mistral ] || environment=datasets
    echo "== check $1: $2"
    "$place/$environment/bin/python" tests/loaders/check_holds.py "$gleaner" "$work/out/awkward" "$1" \
        "$work/converted/awkward-$1" "${@:2}" 2>/dev/null || failed=1
}

environment datasets datasets==5.2.0 mistral-common==1.13.1 duckdb==2.0.1 polars jinja2
environment datasets48 datasets==4.8.4
environment trl trl==1.16.0 datasets==5.2.0 jinja2
environment llamafactory llamafactory==0.9.5
environment swift ms-swift==4.6.0
environment axolotl axolotl==0.19.0
environment verl verl==0.9.1
environment croissant mlcroissant==1.1.1 pyarrow

for loader in datasets datasets48; do
    echo "== the exported dataset: $loader"
    "$place/$loader/bin/python" tests/loaders/card_loads.py "$dataset" 2>/dev/null || failed=1
done
try croissant trl croissant croissant_reads.py
try croissant-parquet trl croissant croissant_reads.py --format parquet
try jsonl trl datasets loads_equal.py
try parquet trl datasets loads_equal.py --format parquet
try jsonl48 trl datasets48 loads_equal.py
try parquet48 trl datasets48 loads_equal.py --format parquet
try mistral mistral datasets mistral_validates.py
try llamafactory llamafactory llamafactory llamafactory_reads.py
try trl trl trl trl_trains.py
try trl-parquet trl trl trl_trains.py --format parquet
python3 tests/loaders/awkward.py "$work/awkward.jsonl"
(cd "$work" && "$gleaner" export --input awkward.jsonl --out out --name awkward --targets all --progress none >/dev/null)
template=tests/loaders/plain.jinja
holds trl datasets $template
environment transformers transformers==5.24.0 datasets==5.2.0 jinja2
holds trl transformers $template
holds trl trl $template
echo "== check trl: every template of TRL"
"$place/trl/bin/python" tests/loaders/templates_equal.py "$gleaner" "$work/out/awkward" "$work/converted/awkward-trl" \
    2>/dev/null || failed=1
holds trl swift
holds trl axolotl $template
holds mistral mistral $template
holds llamafactory llamafactory
holds verl verl $template
"$gleaner" convert "$work/out/awkward" --for verl --format jsonl --out "$work/converted" --name lines >/dev/null || [ $? = 3 ]
echo "== verl: columns_equal.py"
"$place/datasets/bin/python" tests/loaders/columns_equal.py "$work/converted/awkward-verl" "$work/converted/lines" \
    2>/dev/null || failed=1
# Harbor needs Python 3.12.
if [ -e "$place/harbor/installed" ] || python3 -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then
    environment harbor harbor==0.26.0
    holds atif harbor
else
    echo "== check atif: left out, Harbor needs Python 3.12"
fi
exit $failed
