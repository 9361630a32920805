#!/usr/bin/env python3
"""Lists all that is public, from rustdoc's JSON: python3 docs/public_api.py > docs/public-api.txt

rustdoc's JSON is not stable, so this asks the compiler for an unstable option; it is run by hand (`just public-api`)
when the surface changes, and the difference is looked at."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def kind(item):
    return next(iter(item["inner"]))


def hidden(item):
    return any("doc(hidden)" in str(a) or "DocHidden" in str(a) or ("hidden" in str(a) and "doc" in str(a)) for a in item["attrs"])


def walk(index, item, path, lines):
    what, inner = kind(item), item["inner"][kind(item)]
    name = item["name"] or ""
    here = f"{path}::{name}" if path else name
    if hidden(item):
        return
    if what == "module":
        if path:
            lines.append(f"mod {here}")
        for child in inner["items"]:
            if str(child) in index:
                walk(index, index[str(child)], here, lines)
        return
    if item["visibility"] != "public" and what not in ("variant", "struct_field"):
        return
    if what == "use":
        lines.append(f"use {path}::{inner['name']} = {inner['source']}")
        return
    lines.append(f"{what} {here}")
    if what in ("struct", "enum", "union"):
        members = inner.get("variants") or []
        shape = inner.get("kind")
        if isinstance(shape, dict) and "plain" in shape:
            members = shape["plain"]["fields"]
        for member in members:
            member = index.get(str(member))
            if member and (what == "enum" or member["visibility"] == "public"):
                lines.append(f"  {here}.{member['name']}")
        for impl in inner["impls"]:
            impl = index.get(str(impl))
            if impl is None or impl["inner"]["impl"]["trait"] is not None:
                continue
            for of in impl["inner"]["impl"]["items"]:
                of = index.get(str(of))
                if of and of["visibility"] == "public" and not hidden(of):
                    lines.append(f"  {here}::{of['name']}")
    if what == "trait":
        for of in inner["items"]:
            of = index.get(str(of))
            if of:
                lines.append(f"  {here}::{of['name']}")


def main():
    subprocess.run(
        ["cargo", "rustdoc", "--lib", "--locked", "--quiet", "--", "-Zunstable-options", "--output-format", "json"],
        check=True, cwd=ROOT, env={**os.environ, "RUSTC_BOOTSTRAP": "1"})
    found = json.loads((TARGET / "doc" / "gleaner.json").read_text())
    lines = []
    walk(found["index"], found["index"][str(found["root"])], "", lines)
    sys.stdout.write("\n".join(lines) + "\n")


main()
