#!/usr/bin/env python3
"""tandem serve: models that share a memory budget, and adapters that requests choose and that change
while they are used."""
import collections
import json
import os
import random
import shutil
import socket
import subprocess
import threading
import time
import unittest

from serve_client import LONG, MODELS, PHI, PROGRAM, QWEN, Server, answer, main, post, raw, wait_until

WEIGHTS = "adapter_model.safetensors"
MIB = 1 << 20


def memory_of_models(server):
    """In one scrape, in MiB."""
    lines = server.request("GET", "/metrics")[1].decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines
               if line.startswith("tandem_model_memory_bytes{")) / MIB


class Memory(unittest.TestCase):
    THIRD = "third"

    @classmethod
    def setUpClass(cls):
        shutil.copytree(MODELS / QWEN, MODELS / cls.THIRD)
        with Server() as server:
            cls.alone = {model: answer(server, model=model) for model in (QWEN, PHI)}
        cls.alone[cls.THIRD] = cls.alone[QWEN]

    def ask(self, server, seed, results):
        source = random.Random(seed)
        for _ in range(8):
            model = source.choice(list(self.alone))
            results.append((model, answer(server, model=model)))

    def test_any_budget_gives_every_answer_to_clients_of_all_models(self):
        # For less than one cache, for exactly one model, for two, for all three.
        for budget, most in ((3, 10), (70, 74), (160, 164), (300, 300)):
            results = []
            with Server("--memory", str(budget), models=tuple(self.alone)) as server:
                threads = [threading.Thread(target=self.ask, args=(server, seed, results))
                           for seed in range(4)]
                for thread in threads:
                    thread.start()
                while any(thread.is_alive() for thread in threads):
                    self.assertLess(memory_of_models(server), most)
                self.assertEqual(len(results), 4 * 8, "a request was refused")
                for model, text in results:
                    self.assertEqual(text, self.alone[model])
                loads = sum(server.metric("tandem_model_loads_total", model=model)
                            for model in self.alone)
                self.assertEqual(loads == 3, budget == 300, loads)
                events = collections.Counter(x.get("event") for x in server.lines())
                self.assertEqual(events["model_loaded"], loads)

    def test_models_in_use_stay_and_the_refusal_has_the_numbers(self):
        with Server("--memory", "70", "--parallel", "1") as server:
            busy = raw(server, post({**LONG, "n": 16}))
            self.assertTrue(wait_until(
                lambda: server.metric("tandem_requests_running", model=QWEN) == 1))
            response, text = server.request("POST", "/v1/completions",
                                            {"model": PHI, "prompt": "a"})
            self.assertEqual(response.status, 503, text)
            error = json.loads(text)["error"]
            self.assertEqual(error["code"], "models_busy")
            self.assertRegex(error["message"], r"needs \d+ MiB for weights and at least \d+ for its "
                                               r"cache.* hold \d+ of the 70 MiB.*--memory")
            self.assertEqual(response.headers["Retry-After"], "2")
            busy.close()
            self.assertEqual(answer(server, model=PHI), self.alone[PHI])
            self.assertEqual(server.metric("tandem_model_loaded", model=QWEN), 0)
            self.assertEqual(server.metric("tandem_kv_cache_positions", model=QWEN), 0)

    def test_a_model_larger_than_the_budget(self):
        large = MODELS / "large"
        shutil.copytree(MODELS / QWEN, large)
        with open(large / "more.safetensors", "wb") as file:
            file.truncate(200 * MIB)
        with Server("--memory", "100", models=(QWEN, "large")) as server:
            error = server.chat(503, model="large")["error"]
            self.assertEqual(error["code"], "out_of_memory")
            self.assertRegex(error["message"], r"201 MiB for its weights alone.* 100 MiB.*--memory")
            self.assertEqual(answer(server), self.alone[QWEN])
            self.assertEqual(server.metric("tandem_model_loads_total", model=QWEN), 1,
                             "it was unloaded in vain")
        with self.assertRaisesRegex(AssertionError, r"MiB.*--memory"):
            Server("--memory", "1")


class Adapters(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.learned = [cls.learn(seed) for seed in (1, 2)]

    @staticmethod
    def learn(seed):
        """An adapter that changes what the model says."""
        data, out = MODELS / f"{seed}.jsonl", MODELS / f"learned{seed}"
        source = random.Random(seed)
        data.write_text("".join(json.dumps({"ids": [source.randrange(2, 250) for _ in range(40)]})
                                + "\n" for _ in range(4)))
        subprocess.run([PROGRAM, "train", "--model", str(MODELS / QWEN), "--lora", "--rank", "4",
                        "--alpha", "12", "--data", str(data), "--out", str(out), "--steps", "25",
                        "--lr", "0.01", "--batch-tokens", "160", "--threads", "1", "--quiet"],
                       check=True)
        return out

    def setUp(self):
        """style: a copy of the first, for this test."""
        self.style = MODELS / "style"
        shutil.rmtree(self.style, ignore_errors=True)
        shutil.copytree(self.learned[0], self.style)

    def put(self, data):
        """The adapter's weights, replaced at once."""
        (self.style / "new").write_bytes(data)
        os.replace(self.style / "new", self.style / WEIGHTS)

    def test_requests_choose(self):
        with Server("--adapter", str(self.style)) as server:
            names = [m["id"] for m in server.json("GET", "/v1/models")["data"]]
            self.assertEqual(names, [QWEN, PHI, QWEN + ":style", PHI + ":style"])
            base, first = answer(server), answer(server, model=QWEN + ":style")
            self.assertNotEqual(base, first)
            self.assertEqual(answer(server, model=QWEN, adapter="style"), first)
            self.assertEqual(answer(server, adapter="style"), first)
            for fields in ({"adapter": "other"}, {"adapter": ""},
                           {"model": QWEN + ":style", "adapter": "style"}):
                self.assertEqual(server.chat(404, **fields)["error"]["param"], "adapter")
            self.assertEqual(server.chat(404, model=QWEN + ":")["error"]["param"], "model")
            error = server.chat(400, model=PHI, adapter="style")["error"]
            self.assertIn("style", error["message"])

    def test_two_adapters_and_the_plain_model_at_once_answer_as_alone(self):
        models = [QWEN, QWEN + ":style", QWEN + ":learned2"]
        with Server("--adapter", str(self.style), "--adapter", f"{self.learned[1]}=0.5",
                    models=(QWEN,)) as server:
            alone = {model: answer(server, model=model, max_tokens=150) for model in models}
            self.assertEqual(len(set(alone.values())), 3)
            results = []
            threads = [threading.Thread(target=lambda m=model: results.append(
                (m, answer(server, model=m, max_tokens=150)))) for model in models * 5]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(len(results), 15)
            for model, text in results:
                self.assertEqual(text, alone[model])

    def test_one_that_changes_under_load_ends_its_answers_first(self):
        with Server("--adapter", str(self.style), models=(QWEN,)) as server:
            fields = {"adapter": "style", "max_tokens": 800}
            base, old = answer(server), answer(server, **fields)
            results = []
            threads = [threading.Thread(target=lambda: results.append(answer(server, **fields)))
                       for _ in range(3)]
            for thread in threads:
                thread.start()
            self.assertTrue(wait_until(lambda: server.metric(
                "tandem_requests_running", model=QWEN + ":style") == 3))
            self.put((self.learned[1] / WEIGHTS).read_bytes())
            new = answer(server, **fields)
            for thread in threads:
                thread.join()
            self.assertEqual(results, [old] * 3)
            self.assertNotEqual(new, old)
            self.assertEqual(answer(server), base)

    def test_one_that_cannot_be_read_or_is_gone_stays_as_it_was(self):
        def failures():
            return [x for x in server.lines() if x.get("event") == "adapter_reload_failed"]

        whole = (self.learned[1] / WEIGHTS).read_bytes()
        with Server("--adapter", str(self.style), models=(QWEN,)) as server:
            first = answer(server, adapter="style")
            for broken in (b"junk" * 100, whole[:len(whole) // 2], b""):
                self.put(broken)
                for _ in range(2):
                    self.assertEqual(answer(server, adapter="style"), first)
            self.assertEqual(len(failures()), 3, "one line for each")
            self.assertIn(WEIGHTS, failures()[0]["error"])
            (self.style / WEIGHTS).unlink()
            self.assertEqual(answer(server, adapter="style"), first)
            self.put(whole)
            second = answer(server, adapter="style")
            self.assertNotEqual(second, first)
            config = json.loads((self.style / "adapter_config.json").read_text())
            (self.style / "adapter_config.json").write_text(
                json.dumps(config | {"lora_alpha": 2 * config["lora_alpha"]}))
            self.assertNotEqual(answer(server, adapter="style"), second)

    def test_one_that_is_broken_before_it_was_read(self):
        with Server("--adapter", str(self.style), models=(QWEN,)) as server:
            self.put(b"junk" * 100)
            error = server.chat(503, adapter="style")["error"]
            self.assertEqual(error["code"], "model_load_failed")
            self.put((self.learned[0] / WEIGHTS).read_bytes())
            answer(server, adapter="style")

    def test_who_waits_for_a_change_does_not_wait_for_ever(self):
        """A reader that takes nothing holds the old adapter beyond the time of its own answer."""
        with Server("--adapter", str(self.style), "--timeout", "1", models=(QWEN,)) as server:
            slow = socket.socket()
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            host, port = server.address.rsplit(":", 1)
            slow.connect((host, int(port)))
            slow.sendall(post({**LONG, "n": 16, "adapter": "style", "logprobs": True,
                               "top_logprobs": 20}))
            self.assertTrue(wait_until(lambda: server.metric(
                "tandem_requests_running", model=QWEN + ":style")))
            time.sleep(0.3)
            self.put((self.learned[1] / WEIGHTS).read_bytes())
            response, text = server.request("POST", "/v1/completions",
                                            {"prompt": "a", "adapter": "style"})
            slow.close()
            self.assertTrue(wait_until(lambda: [x for x in server.lines() if x.get("stream")]))
            if [x["status"] for x in server.lines() if x.get("stream")] == [504]:
                self.skipTest("so slow that the sockets held the reader's answer")
            error = json.loads(text)["error"]
            self.assertEqual((response.status, error["code"]), (504, "timeout"))
            self.assertIn("not ready within the 1 seconds", error["message"])
            answer(server, adapter="style")


main()
