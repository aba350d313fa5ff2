#!/usr/bin/env python3
"""GET /metrics of tandem serve is what Prometheus reads (text format 0.0.4), with any model name, while
models come and go; also by promtool where that is installed. And the figures count what happens."""
import re
import shutil
import subprocess
import unittest

from serve_client import LONG, MODELS, PHI, QWEN, Server, answer, main, post, raw, wait_until

ODD = 'we"ird\\na me{}=,\n'
LABEL = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"([a-zA-Z_:][\w:]*)(?:\{{({LABEL}(?:,{LABEL})*)\}})? "
                    r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|Inf)|NaN)")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def parse(text):
    """{family: (type, {name: {labels: value}})}; an error where the text is not of the format."""
    assert text.endswith("\n"), "the last line does not end"
    families, current = {}, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            _, _, current, words = line.split(" ", 3)
            assert words and current not in families, f"{current} twice, or without help"
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and kind in SUFFIXES, line
            families[name] = (kind, {})
            continue
        match = SAMPLE.fullmatch(line)
        assert match, f"not a sample: {line}"
        kind, samples = families[current]
        name, labels, value = match.groups()
        assert name in [current + suffix for suffix in SUFFIXES[kind]], f"{name} in {current}"
        series = samples.setdefault(name, {})
        assert labels not in series, f"twice: {line}"
        series[labels] = float(value)
    return families


def check_histogram(name, samples):
    buckets = {}
    for labels, value in samples[name + "_bucket"].items():
        rest, _, bound = labels.rpartition(",le=")
        buckets.setdefault(rest, []).append((float(bound.strip('"')), value))
    assert set(buckets) == set(samples[name + "_count"]) == set(samples[name + "_sum"])
    for rest, list_ in buckets.items():
        bounds, counts = zip(*list_)
        assert list(bounds) == sorted(set(bounds)) and bounds[-1] == float("inf"), bounds
        assert list(counts) == sorted(counts), counts
        assert counts[-1] == samples[name + "_count"][rest]


class Metrics(unittest.TestCase):
    def scrape(self, server):
        response, data = server.request("GET", "/metrics")
        self.assertEqual(response.headers["Content-Type"],
                         "text/plain; version=0.0.4; charset=utf-8")
        families = parse(data.decode())
        for name, (kind, samples) in families.items():
            self.assertRegex(name, "^tandem_[a-z_]+$")
            self.assertEqual(kind == "counter", name.endswith("_total"), name)
            self.assertTrue(samples or name == "tandem_http_requests_total", name)
            if kind == "histogram":
                check_histogram(name, samples)
        return families, data

    def test_the_format_holds_while_models_come_and_go(self):
        shutil.copytree(MODELS / QWEN, MODELS / ODD)
        with Server("--memory", "70", models=(ODD, PHI)) as server:
            before, _ = self.scrape(server)
            for model in (ODD, PHI, ODD, PHI):
                answer(server, model=model)
                families, data = self.scrape(server)
                self.assertEqual(families.keys(), before.keys())
                for name, (kind, samples) in families.items():
                    # What counts from the start on does not fall when a model is unloaded.
                    if kind == "counter" and "_step" not in name:
                        for series, value in before[name][1].get(name, {}).items():
                            self.assertGreaterEqual(samples[name][series], value, (name, series))
                before = families
            labels = 'model="we\\"ird\\\\na me{}=,\\n"'
            self.assertEqual(families["tandem_model_loads_total"][1]["tandem_model_loads_total"]
                             [labels], 2)
            self.assertEqual(families["tandem_model_memory_bytes"][1]["tandem_model_memory_bytes"]
                             [labels], 0, "it was unloaded")
        promtool = shutil.which("promtool")
        if promtool:
            done = subprocess.run([promtool, "check", "metrics"], input=data, check=False,
                                  capture_output=True)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, b""))

    def test_what_happens_is_counted(self):
        def value(name, **labels):
            return server.metric("tandem_" + name, model=QWEN, **labels)

        with Server(models=(QWEN,)) as server:
            answer(server, max_tokens=7)
            answer(server, max_tokens=7) # its prompt is in the cache
            connection = raw(server, post({**LONG, "n": 2}))
            self.assertTrue(wait_until(lambda: value("requests_running") == 2))
            connection.close()
            self.assertTrue(wait_until(lambda: value("answers_total", finish="cancelled") == 2))
            self.assertEqual(value("answers_total", finish="length"), 2)
            self.assertGreaterEqual(value("answer_tokens_total"), 14)
            self.assertGreater(value("cached_prompt_tokens_total"), 10)
            self.assertGreaterEqual(value("step_rows_total"), value("steps_total"))
            self.assertEqual(value("time_to_first_token_seconds_count"), 4)
            self.assertTrue(wait_until(lambda: server.metric("tandem_http_requests_total",
                                                             status="499") == 1))
            self.assertGreater(server.metric("tandem_http_requests_total", status="200"), 2)


main()
