#!/usr/bin/env python3
"""Makes an index of RustSec's advisories out of a checkout of their database.

    git clone --depth 1 https://github.com/RustSec/advisory-db
    deploy/advisories/index.py advisory-db > target/advisories/index.jsonl
    cargo test -p tests --test it -- deploy::advisories --nocapture

The first line says as of when the database was; each further line is one advisory: its id, package, date, kind,
address, and the versions that have it mended or never had it. The texts of the advisories stay where they are. The
database is in the public domain (CC0-1.0), but for entries that say CC-BY-4.0, whose `url` names the original.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path


def git(database: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", database, *words], check=True, capture_output=True, text=True).stdout


def front_matter(text: str) -> dict:
    """An advisory is TOML between two fences, and prose behind."""
    return tomllib.loads(text.split("```toml", 1)[1].split("```", 1)[0])


def line(text: str) -> dict:
    found = front_matter(text)
    advisory, versions = found["advisory"], found.get("versions", {})
    entry = {
        "id": advisory["id"],
        "package": advisory["package"],
        "date": str(advisory["date"]),
        "patched": versions.get("patched", []),
        "unaffected": versions.get("unaffected", []),
    }
    for name in ("informational", "withdrawn", "url", "license"):
        if name in advisory:
            entry[name] = str(advisory[name])
    return entry


def main() -> None:
    database = Path(sys.argv[1])
    names = git(database, "ls-tree", "-r", "--name-only", "HEAD", "crates").split()
    names = [name for name in names if name.endswith(".md")]
    lines = sorted((line(git(database, "show", f"HEAD:{name}")) for name in names), key=lambda entry: entry["id"])
    commit, date = git(database, "log", "-1", "--format=%H %cI").split()
    print(json.dumps({"commit": commit, "as_of": date, "advisories": len(lines)}))
    for entry in lines:
        print(json.dumps(entry, separators=(",", ":")))


if len(sys.argv) != 2:
    sys.exit(__doc__)
main()
