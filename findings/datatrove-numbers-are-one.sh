#!/usr/bin/env bash
# Texts that differ in numbers, signs and operators alone are one text to MinHash and to decontamination in datatrove.
#
# Versions: datatrove 0.10.1, xxhash 3.8.2, spacy 3.8.18 (Python)
# Guess:    words are compared as they stand, but for case and spaces: "exit code 0" and "exit code 1" differ, and a
#           question of a benchmark with other numbers is another question.
# Seen:     before the n-grams are made every number becomes 0 and every sign a space. Two results of tools with other
#           exit codes, two functions with other operators, two exercises with other numbers have equal signatures,
#           Jaccard 1. Which of them is kept is a matter of their order, and an answer that is wrong may stand for the
#           right one. The same is done to the n-grams of a benchmark: with other numbers it is still contamination.
#           `TextNormConfig(norm_numbers=False, remove_punctuation=False)` compares the words.
# Output:   exit codes True, operators True, exercises True; words False / contaminated: same numbers, other numbers
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check datatrove==0.10.1 xxhash==3.8.2 spacy==3.8.18 regex tokenizers
cat >look.py <<'PY'
import os

import numpy
from datatrove.data import Document
from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.utils.hashing import create_hash_func
from datatrove.utils.text import TextNormConfig, ngrams, simplify_text
from datatrove.utils.word_tokenizers import load_word_tokenizer

PAIRS = {
    "exit codes": (
        "the command ended with exit code 0 after 12 ms and 250 tests",
        "the command ended with exit code 1 after 4711 ms and 3 tests",
    ),
    "operators": ("return a + b if a > 10 else -b", "return a - b if a < 9.5 else +b"),
    "exercises": (
        "a shop sells 12 loaves for 3 coins each, how many coins is that",
        "a shop sells 40 loaves for 8 coins each, how many coins is that",
    ),
    "words": ("all of the tests of this crate have passed", "all of the tests of this crate have failed"),
}


def equal(norm):
    step = MinhashDedupSignature("signatures", config=MinhashConfig(norm_config=norm))
    seen = {}
    for name, pair in PAIRS.items():
        one, other = (step.get_signature(step.get_shingles(text)) for text in pair)
        seen[name] = one == other
    print(seen)
    return seen


assert equal(TextNormConfig()) == {"exit codes": True, "operators": True, "exercises": True, "words": False}
assert not any(equal(TextNormConfig(norm_numbers=False, remove_punctuation=False)).values())

# An index of the first exercise, with the functions that datatrove's own indexer calls.
config = NGramsDecontConfig()
words = load_word_tokenizer("eng").word_tokenize(simplify_text(PAIRS["exercises"][0], config.norm_config))
hashes = map(create_hash_func(config.hash_config), map(" ".join, ngrams(words, config.n_grams)))
os.makedirs("index")
numpy.array(list(hashes), dtype=config.hash_config.np_descr).tofile("index/exercises.index.hashes")
step = NGramsDecontFilter("index")
kept = [step.filter(Document(text=text, id="x")) is True for text in (*PAIRS["exercises"], PAIRS["words"][0])]
print("kept:", kept)
assert kept == [False, False, True]
PY
v/bin/python look.py
