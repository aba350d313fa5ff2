#!/usr/bin/env python3
"""tandem serve with a bundled model under many streaming clients at once: no error, each answer the
one that is given alone, nothing that grows, nobody left waiting.

    tests/serve_load_test.py [--seconds 300] [--clients 64] [--parallel 64]

Without options a short run, first with a place for every client, then with 16 places. Needs
TANDEM_PROGRAM, TANDEM_SOURCE and TANDEM_MAKE_MODELS, as meson sets them."""
import argparse
import http.client
import json
import os
import pathlib
import random
import sys
import threading
import time

from serve_client import BUNDLED, is_sanitized, Server, wait_until

MODEL = BUNDLED[0].name
MOST_GROWTH_KB = 4096
CANCEL_SHARE = 0.15


def make_requests(count=32):
    """Different prompts and settings: greedy, seeded, several choices, schemas, stops."""
    source = pathlib.Path(os.environ["TANDEM_SOURCE"]) / "suites/starter.jsonl"
    prompts = [json.loads(line)["prompt"] for line in source.read_text().splitlines()]
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 99},
                                               "name": {"type": "string", "maxLength": 12}},
              "required": ["n", "name"], "additionalProperties": False}
    kinds = [{"temperature": 0},
             {"temperature": 1, "seed": 7, "top_k": 0, "top_p": 1, "ignore_eos": True},
             {"temperature": 0.8, "seed": 3, "top_p": 0.9, "frequency_penalty": 0.5},
             {"temperature": 1, "seed": 11, "n": 2, "ignore_eos": True, "max_tokens": 40},
             {"temperature": 1, "seed": 5, "logprobs": True, "top_logprobs": 2},
             {"temperature": 1, "seed": 9, "ignore_eos": True, "stop": ["e ", "\n\n"]},
             {"temperature": 1, "seed": 2, "response_format": {
                 "type": "json_schema", "json_schema": {"name": "x", "schema": schema}}},
             {"temperature": 0, "ignore_eos": True, "max_tokens": 300}]
    for i in range(count):
        yield json.dumps({"messages": [{"role": "user", "content": prompts[i % len(prompts)]}],
                          "stream": True, "max_tokens": 100, **kinds[i % len(kinds)]})


def texts_of(data):
    """The choices' texts of a stream, and whether it is whole."""
    events = [line[6:] for line in data.split(b"\n") if line.startswith(b"data: ")]
    whole = bool(events) and events[-1] == b"[DONE]"
    texts = {}
    for event in events[:-1]: # of one that was left the last may be in pieces
        choice = json.loads(event)["choices"][0]
        texts[choice["index"]] = texts.get(choice["index"], "") + choice["delta"].get("content", "")
    return texts, whole


class Client(threading.Thread):
    """Asks one thing after the other until the time is up, and leaves some answers half read."""

    def __init__(self, number, server, requests, expected, deadline):
        super().__init__(daemon=True)
        self.random = random.Random(number)
        self.host, port = server.address.rsplit(":", 1)
        self.port = int(port)
        self.requests, self.expected, self.deadline = requests, expected, deadline
        self.whole = self.left = self.bytes = 0
        self.first, self.error = [], None

    def run(self):
        try:
            while time.monotonic() < self.deadline:
                self.ask(self.random.randrange(len(self.requests)))
        except Exception as error: # told by check()
            self.error = f"{type(error).__name__}: {error}"

    def ask(self, index):
        leaves = self.random.random() < CANCEL_SHARE
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        started = time.monotonic()
        connection.request("POST", "/v1/chat/completions", self.requests[index])
        response = connection.getresponse()
        data, enough = response.read1(65536), self.random.randrange(20000)
        self.first.append(time.monotonic() - started)
        while piece := response.read1(65536):
            data += piece
            if leaves and len(data) > enough:
                break
        connection.close()
        texts, whole = texts_of(data)
        expected = self.expected[index]
        if response.status != 200 or not (whole or leaves):
            raise AssertionError(f"{response.status}: {data[-300:]}")
        if whole and texts != expected:
            raise AssertionError(f"request {index}: {texts}, alone {expected}")
        if any(not expected[choice].startswith(text) for choice, text in texts.items()):
            raise AssertionError(f"request {index}: {texts} does not begin {expected}")
        self.whole += whole
        self.left += not whole
        self.bytes += len(data)


class Watch(threading.Thread):
    """Memory (kB), threads and files of the server, twice a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.process, self.samples = pathlib.Path(f"/proc/{pid}"), []
        self.ended = threading.Event()

    def sample(self):
        status = (self.process / "status").read_text()
        values = {key: int(value.split()[0]) for key, _, value in
                  (line.partition(":") for line in status.splitlines())
                  if key in ("VmRSS", "Threads")}
        return values | {"files": len(os.listdir(self.process / "fd"))}

    def run(self):
        while not self.ended.wait(0.5):
            self.samples.append(self.sample())


def memory(samples):
    """Resident kB after warm-up, and how many more they are in the second half of what follows."""
    after = samples[min(120, len(samples) // 2):]
    first, second = (sorted(sample["VmRSS"] for sample in part)[len(part) // 2]
                     for part in (after[:len(after) // 2], after[len(after) // 2:]))
    return first, second - first


def answers_alone(server, requests):
    expected = []
    for request in requests:
        status, data = server.request("POST", "/v1/chat/completions", request.encode())
        texts, whole = texts_of(data)
        if status.status != 200 or not whole:
            raise AssertionError(f"{request}: {data[:300]}")
        expected.append(texts)
    return expected


def percentile(values, p):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(p / 100 * len(ordered)))]


def check(server, clients, watch, idle):
    errors = [client.error for client in clients if client.error]
    assert not errors, f"{len(errors)} clients failed, the first: {errors[0]}"
    answers = [client.whole + client.left for client in clients]
    assert min(answers) >= 1 and max(answers) <= 4 * min(answers) + 10, f"unfair: {sorted(answers)}"
    grown = memory(watch.samples)[1]
    assert is_sanitized(server) or grown < MOST_GROWTH_KB, f"memory grew by {grown} kB"
    running = [server.metric(f"tandem_requests_{kind}", model=MODEL)
               for kind in ("running", "waiting")]
    assert running == [0, 0], running
    assert wait_until(lambda: watch.sample()["files"] <= idle["files"]), "files stay open"
    assert wait_until(lambda: watch.sample()["Threads"] <= idle["Threads"]), "threads stay"
    bad = [x for x in server.lines() if x.get("status", 200) not in (200, 499) or "event" in x
           and x["event"] != "model_loaded"]
    assert not bad, bad[:3]


def run(seconds, n_clients, parallel):
    requests = list(make_requests())
    # The cache is too small for so many: sequences are evicted and put back, and it is soon full.
    options = ("--parallel", str(parallel), "--threads", "2", "--memory", "40")
    with Server(*options, models=BUNDLED[:1]) as server:
        expected = answers_alone(server, requests)
        watch = Watch(server.process.pid)
        idle = watch.sample()
        tokens = server.metric("tandem_answer_tokens_total", model=MODEL)
        started = time.monotonic()
        clients = [Client(i, server, requests, expected, started + seconds)
                   for i in range(n_clients)]
        for thread in (watch, *clients):
            thread.start()
        for client in clients:
            client.join()
        elapsed = time.monotonic() - started
        watch.ended.set()
        assert wait_until(lambda: server.metric("tandem_requests_running", model=MODEL) == 0)
        check(server, clients, watch, idle)
        tokens = server.metric("tandem_answer_tokens_total", model=MODEL) - tokens
        answers = [client.whole + client.left for client in clients]
        first = [x for client in clients for x in client.first]
        resident, grown = memory(watch.samples)
        print(f"{n_clients} clients, {parallel} at once, {elapsed:.0f} s: {sum(answers)} answers, "
              f"{sum(client.left for client in clients)} of them left, each client {min(answers)} "
              f"to {max(answers)}; {tokens:.0f} tokens, {tokens / elapsed:.0f}/s; first token p50 "
              f"{percentile(first, 50):.2f} s, p99 {percentile(first, 99):.2f} s; memory "
              f"{resident} kB after warm-up, then {grown} more", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--parallel", type=int, default=64)
    args = parser.parse_args()
    if args.seconds:
        run(args.seconds, args.clients, args.parallel)
    else:
        run(20, 64, 64)
        run(6, 64, 16)


sys.exit(main())
