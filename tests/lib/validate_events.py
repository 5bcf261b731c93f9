#!/usr/bin/python3
"""validate_events.py SCHEMA FILE…: checks each line of events.jsonl files ("-": standard input) against a JSON Schema.

Prints what is wrong with which line, then how many events there were of each kind. Exit status 1 when a line is wrong
or there is none. Only the keywords that docs/events.schema.json uses (JSON Schema 2020-12); any other is an error, so
that the schema cannot say more than is checked. Duplicate keys, NaN and lines of 64 KiB are errors too.
"""
import collections
import json
import re
import sys

LINE_MAX = 65536
NOTES = {"$schema", "$id", "$comment", "$defs", "title", "description"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}


def is_same(a, b):
    return type(a) is type(b) and a == b  # in JSON true is not 1


def matches(pattern, text):
    # ECMA 262: "$" is the end, not what stands before a last newline
    return re.search(re.sub(r"\$$", r"\\Z", pattern), text)


class Validator:
    def __init__(self, schema):
        self.root = schema

    def resolve(self, ref):
        if not ref.startswith("#/"):
            raise NotImplementedError(f"$ref {ref}")
        schema = self.root
        for part in ref[2:].split("/"):
            schema = schema[part]
        return schema

    def errors(self, value, schema, path="event"):
        """A list of sentences; empty when the value is valid."""
        if isinstance(schema, bool):
            return [] if schema else [f"{path} must not be there"]
        found = []
        for keyword, argument in schema.items():
            if keyword in NOTES or keyword in ("then", "else"):
                continue
            check = getattr(self, "check_" + keyword.lstrip("$"), None)
            if not check:
                raise NotImplementedError(f"keyword {keyword}")
            found += check(value, argument, schema, path)
        return found

    def check_ref(self, value, ref, _, path):
        return self.errors(value, self.resolve(ref), path)

    def check_type(self, value, name, _, path):
        is_right = isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))
        return [] if is_right else [f"{path} is no {name}: {value!r}"]

    def check_const(self, value, wanted, _, path):
        return [] if is_same(value, wanted) else [f"{path} is {value!r}, not {wanted!r}"]

    def check_enum(self, value, wanted, _, path):
        return [] if any(is_same(value, w) for w in wanted) else [f"{path} is {value!r}, none of {wanted}"]

    def check_pattern(self, value, pattern, _, path):
        bad = isinstance(value, str) and not matches(pattern, value)
        return [f"{path} does not match {pattern}: {value!r}"] if bad else []

    def check_minLength(self, value, n, _, path):
        return [f"{path} is shorter than {n}"] if isinstance(value, str) and len(value) < n else []

    def check_maxLength(self, value, n, _, path):
        return [f"{path} is longer than {n}"] if isinstance(value, str) and len(value) > n else []

    def check_minimum(self, value, n, _, path):
        return [f"{path} is {value}, less than {n}"] if isinstance(value, int) and value < n else []

    def check_maximum(self, value, n, _, path):
        return [f"{path} is {value}, more than {n}"] if isinstance(value, int) and value > n else []

    def check_items(self, value, schema, _, path):
        if not isinstance(value, list):
            return []
        return [e for i, item in enumerate(value) for e in self.errors(item, schema, f"{path}[{i}]")]

    def check_minItems(self, value, n, _, path):
        return [f"{path} has fewer than {n} items"] if isinstance(value, list) and len(value) < n else []

    def check_maxItems(self, value, n, _, path):
        return [f"{path} has more than {n} items"] if isinstance(value, list) and len(value) > n else []

    def check_minProperties(self, value, n, _, path):
        return [f"{path} has fewer than {n} keys"] if isinstance(value, dict) and len(value) < n else []

    def check_required(self, value, keys, _, path):
        return [f"{path}.{k} is missing" for k in keys if k not in value] if isinstance(value, dict) else []

    def check_dependentRequired(self, value, table, _, path):
        if not isinstance(value, dict):
            return []
        return [f"{path}.{k} is there without {n}" for k in table if k in value for n in table[k] if n not in value]

    def check_properties(self, value, table, _, path):
        if not isinstance(value, dict):
            return []
        return [e for k in table if k in value for e in self.errors(value[k], table[k], f"{path}.{k}")]

    def check_patternProperties(self, value, table, _, path):
        if not isinstance(value, dict):
            return []
        return [e for p in table for k in value if matches(p, k) for e in self.errors(value[k], table[p], f"{path}.{k}")]

    def check_additionalProperties(self, value, schema, around, path):
        if not isinstance(value, dict):
            return []
        rest = [k for k in value if k not in around.get("properties", {})
                and not any(matches(p, k) for p in around.get("patternProperties", {}))]
        return [e for k in rest for e in self.errors(value[k], schema, f"{path}.{k}")]

    def check_not(self, value, schema, _, path):
        return [] if self.errors(value, schema, path) else [f"{path} is {value!r}, which is excluded"]

    def check_allOf(self, value, schemas, _, path):
        return [e for s in schemas for e in self.errors(value, s, path)]

    def check_anyOf(self, value, schemas, _, path):
        found = [self.errors(value, s, path) for s in schemas]
        return [] if not all(found) else found[0]

    def check_if(self, value, schema, around, path):
        return self.errors(value, around.get("else" if self.errors(value, schema, path) else "then", True), path)


def unique(pairs):
    keys = [k for k, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("a key twice")
    return dict(pairs)


def refuse_constant(text):
    raise ValueError(f"{text} is no JSON")


def check_line(validator, line):
    """(kind of event or None, errors)"""
    if len(line) >= LINE_MAX or not line.endswith(b"\n"):
        return None, ["the line is too long, or has no end"]
    try:
        event = json.loads(line.decode(), object_pairs_hook=unique, parse_constant=refuse_constant)
    except ValueError as e:
        return None, [str(e)]
    kind = event.get("event") if isinstance(event, dict) else None
    return kind, validator.errors(event, validator.root)


def main(schema, *paths):
    with open(schema, encoding="utf-8") as f:
        validator = Validator(json.load(f))
    kinds, n_bad = collections.Counter(), 0
    for path in paths:
        with (sys.stdin.buffer if path == "-" else open(path, "rb")) as f:
            for number, line in enumerate(f, 1):
                kind, errors = check_line(validator, line)
                kinds[kind] += 1
                n_bad += bool(errors)
                for e in errors:
                    print(f"{path}:{number}: {e}")
    for kind in sorted(kinds, key=str):
        print(f"{kind} {kinds[kind]}")
    return 1 if n_bad or not kinds else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
