#!/usr/bin/python3
"""validate_json.py SCHEMA FILE…: checks JSON documents ("-": standard input) against a JSON Schema.

The keywords of validate_events.py, and those that the schema of SARIF 2.1.0 adds (draft 04; formats are not looked
at); prints what is wrong, exit status 1 then.
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from validate_events import TYPES, Validator, refuse_constant, unique  # noqa: E402


class DocumentValidator(Validator):
    def check_definitions(self, *_):
        return []

    check_default = check_format = check_id = check_definitions

    def check_type(self, value, name, around, path):
        if isinstance(name, list):
            found = [self.check_type(value, n, around, path) for n in name]
            return [] if not all(found) else found[0]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name == "number" or name not in TYPES:
            return [] if (is_number if name == "number" else name == "null" and value is None) else [f"{path} is no {name}"]
        return super().check_type(value, name, around, path)

    def check_uniqueItems(self, value, is_wanted, _, path):
        if not is_wanted or not isinstance(value, list):
            return []
        texts = [json.dumps(v, sort_keys=True) for v in value]
        return [f"{path} has an item twice"] if len(set(texts)) != len(texts) else []

    def check_oneOf(self, value, schemas, _, path):
        n = sum(not self.errors(value, s, path) for s in schemas)
        return [] if n == 1 else [f"{path} is valid in {n} ways, not in one"]


def check(validator, path):
    with (sys.stdin.buffer if path == "-" else open(path, "rb")) as f:
        try:
            document = json.loads(f.read().decode(), object_pairs_hook=unique, parse_constant=refuse_constant)
        except ValueError as e:
            return [str(e)]
    return validator.errors(document, validator.root, "document")


def main(schema, *paths):
    with open(schema, encoding="utf-8") as f:
        validator = DocumentValidator(json.load(f))
    errors = [f"{path}: {error}" for path in paths for error in check(validator, path)]
    print("\n".join(errors) if errors else f"{len(paths)} valid")
    return 1 if errors else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
