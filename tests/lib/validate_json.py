#!/usr/bin/python3
"""validate_json.py SCHEMA FILE…: checks JSON documents ("-": standard input) against a JSON Schema.

The same keywords as validate_events.py; prints what is wrong, exit status 1 then.
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from validate_events import Validator, refuse_constant, unique  # noqa: E402


def check(validator, path):
    with (sys.stdin.buffer if path == "-" else open(path, "rb")) as f:
        try:
            document = json.loads(f.read().decode(), object_pairs_hook=unique, parse_constant=refuse_constant)
        except ValueError as e:
            return [str(e)]
    return validator.errors(document, validator.root, "document")


def main(schema, *paths):
    with open(schema, encoding="utf-8") as f:
        validator = Validator(json.load(f))
    errors = [f"{path}: {error}" for path in paths for error in check(validator, path)]
    print("\n".join(errors) if errors else f"{len(paths)} valid")
    return 1 if errors else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
