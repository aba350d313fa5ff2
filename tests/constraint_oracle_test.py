#!/usr/bin/env python3
"""Constrained output against python3-jsonschema: 200 random schemas of all keywords, each with
texts sampled from its constraint and with answers of models of random weights, at high and low
temperatures. Every document that comes to its end parses, has no key twice, and validates."""
import json
import os
import random
import subprocess
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is not installed: skipped")
    sys.exit(77)

PROBE = os.environ["TANDEM_CONSTRAINT_PROBE"]
MAKE_MODELS = os.environ["TANDEM_MAKE_MODELS"]
N_SCHEMAS, N_SAMPLES = 200, 4
NAMES = ["a", "b", "name", "élan", "x y", 'q"', "n\n", "深"]
PATTERNS = ["^[a-c]+$", "b", "^x-[0-9]{2,4}$", "^(ab|cd)*e?$", "[0-9]$", "^[^\"a]{1,5}$", "^.?é"]
FORMATS = ["date", "time", "date-time", "uuid", "email", "ipv4", "ipv6", "uri", "hostname",
           "duration", "uri-reference", "json-pointer", "relative-json-pointer"]
VALUES = [None, True, False, 0, -3, 2.5, "", "a", 'q"\n', "深", [1, "x"], {"k": None}]

# What may be refused: schemas that contradict themselves, and what the documentation says.
REFUSALS = ["nothing is permitted", "how long the names are", "is not supported beside",
            "more than one applies", "the opposite of this schema", '"oneOf": branches']


class Schemas:
    """Random schemas from a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, share):
        return self.random.random() < share

    def string(self):
        schema = {"type": "string"}
        kind = self.random.randrange(5)
        if kind == 0:
            schema["minLength"] = self.random.randrange(4)
            schema["maxLength"] = schema["minLength"] + self.random.randrange(6)
        elif kind == 1:
            schema["pattern"] = self.random.choice(PATTERNS)
            if self.chance(0.3):
                schema["maxLength"] = self.random.randrange(7, 12)
        elif kind == 2:
            schema["format"] = self.random.choice(FORMATS)
        elif kind == 3:
            schema["minLength"] = self.random.randrange(3)
        return schema

    def number(self):
        schema = {"type": self.random.choice(["integer", "number"])}
        if self.chance(0.5):
            low = self.random.choice([-120, -5, 0, 0.5, 7, 99])
            schema[self.random.choice(["minimum", "exclusiveMinimum"])] = low
            if self.chance(0.7):
                high = low + self.random.choice([2, 3, 10, 1000])
                schema[self.random.choice(["maximum", "exclusiveMaximum"])] = high
        elif self.chance(0.3):
            schema["multipleOf"] = self.random.choice([2, 3, 5, 10])
        return schema

    def array(self, depth):
        schema = {"type": "array", "items": self.schema(depth - 1)}
        if self.chance(0.3):
            schema["prefixItems"] = [self.schema(depth - 1) for _ in range(2)]
        if self.chance(0.5):
            schema["minItems"] = self.random.randrange(3)
            schema["maxItems"] = schema["minItems"] + self.random.randrange(1, 4)
        if "prefixItems" in schema and self.chance(0.3):
            schema["unevaluatedItems"] = schema.pop("items")
            return schema
        if self.chance(0.3):
            schema["contains"] = self.plain()
            if self.chance(0.5):
                schema["minContains"] = self.random.randrange(3)
            if self.chance(0.5):
                schema["maxContains"] = self.random.randrange(1, 4)
        return schema

    def object(self, depth):
        names = self.random.sample(NAMES, self.random.randrange(5))
        schema = {"type": "object", "properties": {n: self.schema(depth - 1) for n in names},
                  "required": [n for n in names if self.chance(0.5)]}
        extra = self.random.randrange(4)
        if extra == 0:
            schema["additionalProperties"] = False
        elif extra == 1:
            schema["additionalProperties"] = self.schema(depth - 1)
        elif extra == 2:
            schema["patternProperties"] = {"^b": {}, "[0-9]$": self.number()}
        count = self.random.randrange(6)
        if count == 0:
            schema["minProperties"] = self.random.randrange(4)
        elif count == 1:
            schema["maxProperties"] = len(names) + self.random.randrange(2)
        elif count == 2:
            schema["propertyNames"] = self.random.choice(
                [{"pattern": "^[a-z]"}, {"type": "string", "minLength": 1},
                 {"enum": names + ["c"]}, {"not": {"const": "x"}}])
        elif count == 3 and names:
            key = self.random.choice(["dependentRequired", "dependentSchemas"])
            schema[key] = {self.random.choice(names): [self.random.choice(NAMES)]
                           if key == "dependentRequired" else {"maxProperties": 3}}
        return schema

    def plain(self):
        """A schema whose opposite can be said."""
        kind = self.random.randrange(5)
        if kind == 0:
            return {"enum": self.random.sample(VALUES, self.random.randrange(1, 5))}
        if kind == 1:
            return {"type": self.random.choice(["string", "integer", "number", "object", "null",
                                                ["array", "boolean"]])}
        if kind == 2:
            return {self.random.choice(["minimum", "exclusiveMaximum"]): self.random.randrange(5)}
        if kind == 3:
            return {"type": "string", "minLength": self.random.randrange(1, 3)}
        name = self.random.choice(NAMES)
        return {"properties": {name: {"const": self.random.choice(VALUES[:10])}},
                "required": [name]}

    def condition(self, depth):
        kind = self.random.randrange(3)
        if kind == 0:
            return {**self.schema(depth - 1), "not": self.plain()}
        if kind == 1:
            return {"oneOf": [self.plain() for _ in range(3)]}
        return {"if": self.plain(), "then": self.schema(depth - 1),
                "else": self.schema(depth - 1)}

    def alternatives(self, depth):
        kind = self.random.randrange(4)
        if kind == 0:
            return {"anyOf": [self.schema(depth - 1) for _ in range(self.random.randrange(1, 4))]}
        if kind == 1:
            branches = []
            for tag in ["one", "two"]:
                branch = self.object(depth)
                branch["properties"] = {"tag": {"const": tag}, **branch["properties"]}
                branch["required"].append("tag")
                branches.append(branch)
            return {"oneOf": branches}
        if kind == 2:
            schema = {"allOf": [self.object(depth), {"properties": {"a": {"type": "string"}}}]}
            # python3-jsonschema takes the keywords of such a schema for names that are evaluated.
            if not isinstance(schema["allOf"][0].get("additionalProperties"), dict):
                schema["unevaluatedProperties"] = self.random.choice([False, self.number()])
            return schema
        return {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}

    def schema(self, depth):
        if depth <= 0 or self.chance(0.4):
            kind = self.random.randrange(6)
            if kind == 0:
                return {"enum": self.random.sample(VALUES, self.random.randrange(1, 5))}
            if kind == 1:
                return {"type": self.random.choice([["null", "boolean"], "boolean",
                                                    ["string", "integer"]])}
            return self.string() if kind < 4 else self.number()
        return self.random.choice([self.array, self.object, self.alternatives,
                                   self.condition])(depth)

    def document(self):
        schema = self.schema(3)
        node = {"type": "object", "properties": {
            "value": self.schema(1), "next": {"anyOf": [{"type": "null"},
                                                        {"$ref": "#/$defs/node"}]}},
            "required": ["next"], "additionalProperties": False}
        return {**schema, "$defs": {"node": node}, "title": "random"}


class Probe:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([PROBE, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, encoding="utf-8")

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0, self.process.returncode


def unique_keys(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"a key twice: {keys}"
    return dict(pairs)


def check(schema, text):
    """What is wrong with the document; None if nothing is."""
    try:
        value = json.loads(text, object_pairs_hook=unique_keys)
    except (ValueError, AssertionError) as error:
        return str(error)
    validator = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.draft202012_format_checker)
    return next((error.message for error in validator.iter_errors(value)), None)


def check_schemas(schemas, probe, kind, n):
    done, refused, wrong = 0, 0, []
    for index, schema in enumerate(schemas):
        answer = probe.ask(schema=schema, seed=index + 1, temperature=[0.5, 1.5][index % 2],
                           **{kind: n})
        if "error" in answer:
            assert any(reason in answer["error"] for reason in REFUSALS), (schema, answer)
            refused += 1
            continue
        for text in answer[kind]:
            if text is None:
                continue
            done += 1
            reason = check(schema, text) if isinstance(text, str) else text
            if reason:
                wrong.append((reason, text, schema))
    for reason, text, schema in wrong[:5]:
        print(f"{reason}\n  document {text}\n  schema {json.dumps(schema, ensure_ascii=False)}")
    assert not wrong, f"{len(wrong)} of {done} are not valid"
    assert refused <= len(schemas) // 5, refused
    return done, refused


def main():
    schemas = [Schemas(seed).document() for seed in range(N_SCHEMAS)]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([MAKE_MODELS, folder], check=True, stdout=subprocess.DEVNULL)
        for arguments, kind, n in [((), "samples", N_SAMPLES),
                                   ((f"{folder}/tandem-random-qwen2",), "answers", 1),
                                   ((f"{folder}/tandem-random-phi3",), "answers", 1)]:
            probe = Probe(*arguments)
            done, refused = check_schemas(schemas, probe, kind, n)
            probe.close()
            print(f"{' '.join(arguments) or 'bytes'}: {done} documents, all valid "
                  f"({refused} schemas refused)")
            assert done > N_SCHEMAS // 2, done


main()
