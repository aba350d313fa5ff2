#!/usr/bin/env python3
"""What constrained output costs a server: seconds per token of answers with and without it.

    bench/constraint_bench.py http://127.0.0.1:7860 [--tokens 128] [--rounds 5]

Answers of the same length, to prompts of their own, take turns: free text, any JSON object, records
of a schema, a long string, and free text with tools. End tokens are ignored, and the schemas
cannot be complete within the answer. Printed: milliseconds per token behind the first one, and what
they are more than those of free text. Standard library only."""
import argparse
import json
import random
import statistics
import urllib.request

RECORD = {"type": "object", "additionalProperties": False, "required": ["name", "price", "kind"],
          "properties": {"name": {"type": "string", "minLength": 8, "maxLength": 40},
                         "price": {"type": "number"}, "kind": {"enum": ["fruit", "tool"]}}}
TOOLS = [{"type": "function", "function": {"name": "store", "parameters": RECORD}}]


def schema_format(schema):
    return {"response_format": {"type": "json_schema",
                                "json_schema": {"name": "x", "schema": schema}}}


KINDS = {
    "free text": {},
    "any object": schema_format({"type": "object", "required": ["list"], "properties": {
        "list": {"type": "array", "minItems": 2000}}}),
    "records": schema_format({"type": "array", "items": RECORD, "minItems": 2000}),
    "long string": schema_format({"type": "string", "minLength": 100000}),
    "tools, auto": {"tools": TOOLS},
}


def ask(url, fields):
    words = " ".join(str(random.SystemRandom().randrange(10 ** 6)) for _ in range(16))
    body = {"messages": [{"role": "user", "content": words}], "ignore_eos": True, **fields}
    request = urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        reply = json.load(response)
    n = reply["usage"]["completion_tokens"]
    assert n == fields["max_tokens"], (n, reply)
    return reply["timings"]["decode_seconds"] / (n - 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    times = {name: [] for name in KINDS}
    for _ in range(args.rounds + 1):
        for seed, (name, fields) in enumerate(KINDS.items()):
            times[name].append(ask(args.url, {**fields, "max_tokens": args.tokens, "seed": seed,
                                              "temperature": 1}))
    for name, values in times.items():  # the first round warms up
        values = values[1:]
        ratio = statistics.median(v / f for v, f in zip(values, times["free text"][1:]))
        print(f"{name:12} {1e3 * statistics.median(values):7.2f} ms a token "
              f"({1e3 * min(values):.2f} to {1e3 * max(values):.2f}), {ratio - 1:+.1%}")


main()
