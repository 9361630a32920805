#!/usr/bin/env bash
# Three equal turns of three words: datatrove keeps all of them, text-dedup none, and rensa one.
#
# Versions: datatrove 0.10.1, text-dedup 0.4.1, rensa 0.5.0, xxhash 3.8.2, spacy 3.8.18 (Python; needs 3.12 or later)
# Guess:    what is equal is a near-duplicate, however short it is: each keeps one of three, and a turn that stands
#           alone stays.
# Seen:     a text with fewer words than an n-gram (5 in datatrove) has no n-gram and no signature, so datatrove never
#           finds it, neither alone nor with its copies. text-dedup takes texts below `min_length` (5 words) out before
#           it looks for duplicates: they are gone, those without a copy too. Neither names them. Only rensa, which is
#           given sets of words, does what the guess says. Take out exact copies first, and compare the counts of
#           short texts before and after.
# Output:   kept of 3 equal ones, of 1 alone, of 3 equal longer ones:
#           datatrove 3, 1, 1 / text-dedup 0, 0, 1 / rensa 1, 1, 1
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit("needs Python 3.12 or later: set PYTHON" if sys.version_info < (3, 12) else 0)'
"$python" -m venv v
v/bin/pip install -q --disable-pip-version-check datatrove==0.10.1 text-dedup==0.4.1 rensa==0.5.0 \
    xxhash==3.8.2 spacy==3.8.18 regex tokenizers
cat >config.toml <<'TOML'
[input]
input_type = "local_files"
file_type = "json"
read_arguments = { path = "json", data_files = "rows.jsonl", split = "train" }
[algorithm]
algorithm_name = "minhash"
text_column = "text"
num_perm = 128
threshold = 0.8
num_proc = 1
# Else 0.4.1 takes out every copy of a duplicate: its clusters are not called by an index of theirs.
check_false_positive = true
[output]
output_dir = "out"
[debug]
TOML
cat >look.py <<'PY'
import json
import logging
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from rensa import RMinHashDeduplicator

SHORT, ALONE, LONG = "run the tests", "open the file", "please run all of the tests again"
ROWS = [SHORT] * 3 + [ALONE] + [LONG] * 3


def by_datatrove():
    documents = [Document(text=text, id=str(index)) for index, text in enumerate(ROWS)]
    config = MinhashConfig()
    MinhashDedupSignature("signatures", config=config).run(documents)
    for bucket in range(config.num_buckets):
        MinhashDedupBuckets("signatures", "buckets", config=config).run(rank=bucket, world_size=config.num_buckets)
    MinhashDedupCluster("buckets", "remove", config=config).run()
    return [document.text for document in MinhashDedupFilter("remove").run(documents)]


def by_text_dedup():
    logging.disable(logging.CRITICAL)
    from text_dedup import minhash
    from text_dedup.config.base import load_config_from_toml

    with open("rows.jsonl", "w") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in ROWS)
    config = load_config_from_toml(Path("config.toml"))
    rows, _, _ = minhash.load_and_preprocess(config)
    clusters = minhash.cluster(config, minhash.fingerprint(config, rows))
    rows, _ = minhash.check_false_positives(config, minhash.assign(config, rows, clusters))
    return list(minhash.remove_duplicates(config, rows)["text"])


def by_rensa():
    index = RMinHashDeduplicator(threshold=0.8, num_perm=128, use_lsh=True)
    kept = index.add_pairs((str(number), text.split()) for number, text in enumerate(ROWS))
    return [text for text, is_kept in zip(ROWS, kept) if is_kept]


if __name__ == "__main__":
    counts = {}
    for look in by_datatrove, by_text_dedup, by_rensa:
        kept = look()
        counts[look.__name__] = [kept.count(text) for text in (SHORT, ALONE, LONG)]
    print(counts)
    assert counts == {"by_datatrove": [3, 1, 1], "by_text_dedup": [0, 0, 1], "by_rensa": [1, 1, 1]}
PY
HF_HUB_OFFLINE=1 HF_HOME="$dir/hf" v/bin/python look.py 2>log || { tail -30 log; exit 1; }
