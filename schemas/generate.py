"""Write the contract files: `python -m schemas.generate [--check] [DIR]`.

DIR (this package's folder unless given) gets `json/<name>.v1.schema.json` and `asyncapi.yaml`. With
`--check` nothing is written: files that are missing, differ, or don't belong are named, and the exit code is 1.
"""

import argparse
import json
import sys
from pathlib import Path

import yaml

from schemas.asyncapi import asyncapi_document
from schemas.jsonschemas import file_name, json_schemas


def contract_files() -> dict[str, str]:
    """Return the text of every contract file by its path within DIR. The same code gives the same text."""
    files = {
        f"json/{file_name(name)}": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in json_schemas().items()
    }
    files["asyncapi.yaml"] = yaml.safe_dump(asyncapi_document(), sort_keys=False, allow_unicode=True, width=110)
    return files


def main(arguments: list[str] | None = None) -> int:
    """Write or check the files; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m schemas.generate", description="Write the contract files.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    parser.add_argument("folder", metavar="DIR", nargs="?", type=Path, default=Path(__file__).parent)
    options = parser.parse_args(arguments)
    if options.check:
        return _check(options.folder)
    _write(options.folder)
    return 0


def _check(folder: Path) -> int:
    files = contract_files()
    wrong = [path for path, text in files.items() if _read(folder / path) != text]
    found = {f"json/{path.name}" for path in (folder / "json").glob("*.json")}
    wrong += sorted(found - files.keys())
    for path in wrong:
        sys.stderr.write(f"{folder / path}: not what the code says; run python -m schemas.generate\n")
    return 1 if wrong else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _write(folder: Path) -> None:
    (folder / "json").mkdir(parents=True, exist_ok=True)
    for path, text in contract_files().items():
        (folder / path).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
