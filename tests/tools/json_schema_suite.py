#!/usr/bin/env python3
"""Holds constraints against the public JSON-Schema-Test-Suite. Run by hand:

    git clone https://github.com/json-schema-org/JSON-Schema-Test-Suite SUITE
    tests/tools/json_schema_suite.py build/tests/constraint_probe SUITE/tests/draft2020-12

For every schema of the suite that compiles, each instance, in the spelling that constraints have,
is offered: one that is not valid must be refused; one that is valid should be accepted (what is
not is listed: narrowed). Texts sampled from the constraint must validate with python3-jsonschema.
Schemas that do not compile are counted by what the message blames.
"""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import warnings

warnings.filterwarnings("ignore")
import jsonschema  # noqa: E402


def key_order(schema):
    order = {}

    def walk(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in ("properties", "patternProperties") and isinstance(inner, dict):
                    for name in inner:
                        order.setdefault(name, len(order))
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(schema)
    return order


def reorder(value, order):
    if isinstance(value, dict):
        keys = sorted(value, key=lambda k: order.get(k, len(order)))
        return {k: reorder(value[k], order) for k in keys}
    if isinstance(value, list):
        return [reorder(v, order) for v in value]
    return value


def spell(value):
    return json.dumps(value, ensure_ascii=False)


def spellings(schema, value):
    texts = {spell(value), spell(reorder(value, key_order(schema)))}
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        texts.add(str(int(value)))
    return sorted(texts)


def blame(message):
    found = re.search(r'"(\$?\w+)": ', message)
    return found[1] if found else message[:60]


class Probe:
    def __init__(self, program):
        self.program = program
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.program], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, encoding="utf-8")

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question, ensure_ascii=False) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if answer:
            return json.loads(answer)
        if self.process.wait() != 1:  # 1: it cannot read the JSON, say a number beyond 64 bits
            sys.exit(f"the probe crashed on {question}")
        self.start()
        return {"error": "the JSON reader", "accepts": [False], "samples": []}


def check_instances(probe, group, totals, problems):
    for test in group["tests"]:
        texts = spellings(group["schema"], test["data"])
        try:
            accepted = any(probe.ask(schema=group["schema"], texts=texts)["accepts"])
        except UnicodeEncodeError:
            totals["instances that are no Unicode text"] += 1
            continue
        name = f'{group["description"]}: {test["description"]}: {texts[0][:70]}'
        if test["valid"]:
            totals["valid, accepted" if accepted else "valid, narrowed"] += 1
            if not accepted:
                problems["narrowed"].append(name)
        else:
            totals["invalid, let through" if accepted else "invalid, refused"] += 1
            if accepted:
                problems["let through"].append(name)


def check_samples(probe, group, totals, problems, n):
    schema = group["schema"]
    validator = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    for text in probe.ask(schema=schema, samples=n)["samples"]:
        if text is None:
            totals["samples without an end"] += 1
            continue
        try:
            errors = [error.message for error in validator.iter_errors(json.loads(text))]
        except ValueError as error:
            errors = [f"not JSON: {error}"]
        except Exception as error:  # the validator cannot resolve or compile something
            totals[f"samples not judged ({type(error).__name__})"] += 1
            continue
        totals["samples, not valid" if errors else "samples, valid"] += 1
        if errors:
            problems["samples"].append(f'{group["description"]}: {text[:100]}: {errors[0][:100]}')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("probe")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--samples", type=int, default=20)
    options = parser.parse_args()
    probe, totals = Probe(options.probe), collections.Counter()
    problems, refused = collections.defaultdict(list), collections.Counter()
    files = sorted(options.folder.glob("*.json")) + sorted(
        options.folder.glob("optional/format/*.json")) + sorted(options.folder.glob("optional/*.json"))
    for path in files:
        for group in json.loads(path.read_text()):
            group["description"] = f'{path.stem}: {group["description"]}'
            answer = probe.ask(schema=group["schema"])
            totals["schemas"] += 1
            if "error" in answer:
                refused[blame(answer["error"])] += 1
                continue
            totals["schemas that compile"] += 1
            check_instances(probe, group, totals, problems)
            check_samples(probe, group, totals, problems, options.samples)
    for kind, list_ in problems.items():
        print(f"--- {kind}")
        print("\n".join(list_))
    print("--- refused:", ", ".join(f"{k} {n}" for k, n in refused.most_common()))
    print("--- totals:", json.dumps(totals, indent=2))
    return 1 if totals["invalid, let through"] + totals["samples, not valid"] else 0


sys.exit(main())
