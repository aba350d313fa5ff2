#!/usr/bin/env python3
"""Speed of servers that speak OpenAI's API, as their streaming clients see it.

    bench/serve_bench.py http://127.0.0.1:7860 [http://127.0.0.1:8080 ...]
        tokens per second of --clients 8 that each stream an answer at the same time; with several
        servers their rounds alternate, and the ratios are of the first to each other one
    bench/serve_bench.py http://127.0.0.1:7860 --during-prefill 8192
        the time between the tokens of a stream while nothing else runs, before and after, and
        while another client's prompt of 8192 tokens is computed

Prompts are random token ids, no two alike, so that no server finds them in a cache. The client's
own share of a CPU is printed: what it takes, the server on the same machine does not have.
Standard library only."""
import argparse
import http.client
import json
import math
import random
import statistics
import sys
import threading
import time


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", nargs="+")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3, help="medians are of these")
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--answer-tokens", type=int, default=128)
    parser.add_argument("--vocabulary", type=int, default=150000, help="ids are below this")
    parser.add_argument("--temperature", type=float, default=0)
    parser.add_argument("--during-prefill", type=int, metavar="TOKENS")
    parser.add_argument("--model")
    return parser.parse_args()


class Stream:
    """One streamed completion: when its tokens came."""

    def __init__(self, url, args, prompt_tokens, answer_tokens):
        self.url, self.times, self.error = url, [], None
        rng = random.SystemRandom()
        body = {"prompt": [rng.randrange(100, args.vocabulary) for _ in range(prompt_tokens)],
                "max_tokens": answer_tokens, "temperature": args.temperature, "stream": True,
                "ignore_eos": True, "stream_options": {"include_usage": True}}
        if args.model:
            body["model"] = args.model
        self.body = json.dumps(body)
        self.answer_tokens = answer_tokens
        self.wanted = threading.Event()
        self.wanted.set()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self):
        self.started = time.perf_counter()
        self.thread.start()
        return self

    def run(self):
        try:
            self.read()
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.error = repr(error)
        self.ended = time.perf_counter()

    def read(self):
        host = self.url.split("//")[1].split("/")[0]
        connection = http.client.HTTPConnection(host, timeout=600)
        connection.request("POST", "/v1/completions", self.body,
                           {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise ValueError(f"{response.status}: {response.read(300)}")
        usage = None
        while self.wanted.is_set() and (line := response.readline()):
            if line.startswith(b"data: {"):
                if b'"usage":{' in line:
                    usage = json.loads(line[6:])["usage"] or usage
                if b'"choices":[{' in line:
                    self.times.append(time.perf_counter())
        connection.close()
        if usage and usage["completion_tokens"] != self.answer_tokens:
            raise ValueError(f"{usage['completion_tokens']} tokens, not {self.answer_tokens}")

    def join(self):
        self.thread.join()
        if self.error:
            sys.exit(f"{self.url}: {self.error}")
        return self

    def stop(self):
        self.wanted.clear()
        return self.join()


def percentile(values, p):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(p / 100 * len(ordered)))]


# --- Throughput ---

def one_round(url, args, clients):
    cpu = time.process_time()
    streams = [Stream(url, args, args.prompt_tokens, args.answer_tokens) for _ in range(clients)]
    started = time.perf_counter()
    for stream in streams:
        stream.start()
    for stream in streams:
        stream.join()
    wall = max(s.ended for s in streams) - started
    return {"speed": clients * args.answer_tokens / wall,
            "first": statistics.median(s.times[0] - s.started for s in streams),
            "client": (time.process_time() - cpu) / wall}


def throughput(args):
    counts = sorted({1, args.clients})
    rounds = {(url, n): [] for url in args.url for n in counts}
    for url in args.url:
        one_round(url, args, 1)  # to warm up
    for _ in range(args.rounds):
        for n in counts:
            for url in args.url:
                rounds[url, n].append(one_round(url, args, n))
    median = {key: {field: statistics.median(r[field] for r in values) for field in values[0]}
              for key, values in rounds.items()}
    for (url, n), m in median.items():
        each = ", ".join(f"{r['speed']:.1f}" for r in rounds[url, n])
        print(f"{url}: {n} clients, {m['speed']:.1f} tokens/s (rounds {each}); first token after "
              f"{m['first']:.3f} s; the client's own share of a CPU {m['client']:.1%}")
    for n in counts:
        for url in args.url[1:]:
            ratio = median[args.url[0], n]["speed"] / median[url, n]["speed"]
            print(f"{n} clients: {ratio:.2f} times {url}")
    for url in args.url:
        if len(counts) > 1:
            ratio = median[url, args.clients]["speed"] / median[url, 1]["speed"]
            print(f"{url}: {args.clients} clients {ratio:.2f} times one")


# --- Latency beside somebody's prompt ---

def gaps(times, begin, end):
    """Seconds between tokens of which the later one came in the span."""
    return [b - a for a, b in zip(times, times[1:]) if begin < b <= end]


def wait_for_tokens(streams, counts):
    """Until each stream has so many."""
    while any(len(s.times) < n for s, n in zip(streams, counts)):
        time.sleep(0.01)
        for stream in streams:
            if not stream.thread.is_alive():
                sys.exit(f"{stream.url}: {stream.error or 'the stream ended too early'}")


def during_prefill(url, args):
    """A stream alone, then beside a long prompt until that has its first token, then alone again:
    a machine's speed changes within minutes, and so does the length of the stream's sequence."""
    alone_tokens, results = 100, []
    for _ in range(args.rounds):
        streams = [Stream(url, args, args.prompt_tokens, 8000).start()
                   for _ in range(args.clients)]
        wait_for_tokens(streams, [alone_tokens] * len(streams))
        started = time.perf_counter()
        prompt = Stream(url, args, args.during_prefill, 1).start().join()
        ended = prompt.times[0]
        wait_for_tokens(streams, [len(s.times) + alone_tokens for s in streams])
        for stream in streams:
            stream.stop()
        begin = max(s.times[0] for s in streams)
        before = [g for s in streams for g in gaps(s.times, begin, started)]
        beside = [g for s in streams for g in gaps(s.times, started, ended)]
        after = [g for s in streams for g in gaps(s.times, prompt.ended, math.inf)]
        idle, most = before + after, percentile(beside, 99)
        results.append(most / percentile(idle, 50))
        print(f"{url}: idle p50 {percentile(idle, 50) * 1e3:.1f} ms (before "
              f"{percentile(before, 50) * 1e3:.1f}, after {percentile(after, 50) * 1e3:.1f}), p99 "
              f"{percentile(idle, 99) * 1e3:.1f} ms; beside a prompt of {args.during_prefill} "
              f"tokens ({ended - started:.1f} s) p50 {percentile(beside, 50) * 1e3:.1f}, p99 "
              f"{most * 1e3:.1f}, most {max(beside) * 1e3:.1f} ms, {len(beside)} tokens; p99 "
              f"{results[-1]:.2f} times the idle p50, {most / percentile(before, 50):.2f} times "
              f"that before", flush=True)
    print(f"median of {len(results)}: {statistics.median(results):.2f}")


def main():
    args = parse_arguments()
    if args.during_prefill:
        for url in args.url:
            during_prefill(url, args)
    else:
        throughput(args)


main()
