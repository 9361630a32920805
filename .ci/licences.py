"""Checks the licence of every package in Cargo.lock against deny.toml, without building a tool, and that
docs/dependencies.md names every direct dependency with its licence. `just deny` also checks advisories."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def is_allowed(expression, allowed):
    """Whether an SPDX expression can be met with these licences. `A/B` is how old packages write `A OR B`."""
    words = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    place = 0

    def peek():
        return words[place] if place < len(words) else None

    def take():
        nonlocal place
        place += 1
        return words[place - 1]

    def either():
        result = both()
        while peek() == "OR":
            take()
            result = both() or result
        return result

    def both():
        result = one()
        while peek() == "AND":
            take()
            result = one() and result
        return result

    def one():
        word = take()
        if word == "(":
            result = either()
            take()
            return result
        if peek() == "WITH":
            take()
            word = f"{word} WITH {take()}"
        return word in allowed

    return either()


def self_test():
    allowed = {"MIT", "Apache-2.0 WITH LLVM-exception"}
    for expression, wanted in [
        ("MIT", True),
        ("GPL-3.0", False),
        ("MIT/Apache-2.0", True),
        ("GPL-3.0 OR MIT", True),
        ("GPL-3.0 AND MIT", False),
        ("(GPL-3.0 OR MIT) AND Apache-2.0 WITH LLVM-exception", True),
        ("Apache-2.0", False),
        ("GPL-3.0 OR MIT AND Apache-2.0", False),
    ]:
        assert is_allowed(expression, allowed) == wanted, expression


def main():
    self_test()
    allowed = set(tomllib.loads((ROOT / "deny.toml").read_text())["licenses"]["allow"])
    command = ["cargo", "metadata", "--locked", "--all-features", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    faults = [
        f"{package['name']} {package['version']}: {package['license'] or 'no licence'} is not allowed by deny.toml"
        for package in packages.values()
        if not is_allowed(package["license"] or "none", allowed)
    ]
    page = (ROOT / "docs/dependencies.md").read_text()
    named = dict(re.findall(r"^\| `([^`]+)` \|.*\| ([^|]+) \|$", page, re.MULTILINE))
    ours = set(metadata["workspace_members"])
    of_ours = [node for node in metadata["resolve"]["nodes"] if node["id"] in ours]
    ids = {dep["pkg"] for node in of_ours for dep in node["deps"]} - ours
    direct = {packages[id]["name"]: packages[id]["license"] for id in ids}
    for name, licence in sorted(direct.items()):
        if named.get(name) != licence:
            faults.append(f"docs/dependencies.md: {name} must have a line with the licence {licence}")
    for name in sorted(named.keys() - direct.keys()):
        faults.append(f"docs/dependencies.md: {name} is no direct dependency")
    print("\n".join(faults) or f"licences of {len(packages)} packages: all allowed")
    return 1 if faults else 0


sys.exit(main())
