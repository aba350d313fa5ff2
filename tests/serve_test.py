#!/usr/bin/env python3
"""tandem serve: the API's behaviour, as clients see it (standard library only)."""
import base64
import gzip
import json
import os
import pathlib
import re
import struct
import threading
import unittest

from serve_client import (LONG, PHI, QWEN, Server, main, make_tool_model, post, raw, wait_until)


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        assert code == 0, cls.server.errors

    def test_health_and_models(self):
        self.assertEqual(self.server.json("GET", "/health"), {"status": "ok"})
        models = self.server.json("GET", "/v1/models")
        self.assertEqual([m["id"] for m in models["data"]], [QWEN, PHI])
        for entry in models["data"]:
            self.assertEqual(self.server.json("GET", "/v1/models/" + entry["id"]), entry)
        escaped = "".join(f"%{byte:02x}" for byte in QWEN.encode())
        self.assertEqual(self.server.json("GET", "/v1/models/" + escaped)["id"], QWEN)
        for name in ("none", "%ff", "%0", "%00", QWEN[:-1], "x" * 500):
            error = self.server.json("GET", "/v1/models/" + name, status=404)["error"]
            self.assertEqual(error["code"], "model_not_found")

    def test_an_answer_as_a_whole_and_as_a_stream_is_the_same(self):
        for model in (QWEN, PHI):
            fields = dict(model=model, max_tokens=20, seed=7, ignore_eos=True, temperature=1)
            whole = self.server.chat(**fields)
            choice = whole["choices"][0]
            self.assertEqual(choice["finish_reason"], "length")
            self.assertEqual(choice["message"]["role"], "assistant")
            self.assertEqual(whole["usage"]["completion_tokens"], 20)
            chunks = self.server.stream(stream_options={"include_usage": True}, **fields)
            text = "".join(c["choices"][0]["delta"].get("content", "")
                           for c in chunks if c["choices"])
            self.assertEqual(text, choice["message"]["content"])
            self.assertEqual(chunks[-1]["usage"]["completion_tokens"], 20)
            self.assertEqual(chunks[-2]["choices"][0]["finish_reason"], "length")

    def test_seeds_choices_and_stops(self):
        fields = dict(max_tokens=24, ignore_eos=True, temperature=1.5, top_k=0, top_p=1)
        three = self.server.chat(n=3, seed=5, **fields)["choices"]
        texts = [c["message"]["content"] for c in three]
        self.assertEqual([c["index"] for c in three], [0, 1, 2])
        self.assertEqual(len(set(texts)), 3)
        again = [self.server.chat(seed=5 + i, **fields)["choices"][0]["message"]["content"]
                 for i in range(3)]
        self.assertEqual(texts, again)
        stop = next(texts[0][i:i + 2] for i in range(4, len(texts[0]) - 1)
                    if texts[0][i:i + 2].isprintable())
        cut = self.server.chat(seed=5, stop=[stop, "never this"], **fields)["choices"][0]
        self.assertEqual(cut["message"]["content"], texts[0][:texts[0].index(stop)])
        self.assertEqual(cut["finish_reason"], "stop")
        streamed = ["", "", ""]
        for chunk in self.server.stream(n=3, seed=5, **fields):
            choice = chunk["choices"][0]
            streamed[choice["index"]] += choice["delta"].get("content", "")
        self.assertEqual(streamed, texts)

    def test_logit_bias_and_penalties_reach_the_sampler(self):
        ids = self.server.json("POST", "/tokenize", {"prompt": "a"})["tokens"]
        self.assertEqual(len(ids), 1)
        fields = dict(max_tokens=8, temperature=0, logit_bias={str(ids[0]): 100}, ignore_eos=True)
        text = self.server.chat(**fields)["choices"][0]["message"]["content"]
        self.assertEqual(text, "a" * 8)
        text = self.server.chat(frequency_penalty=2, presence_penalty=2, **fields)
        self.assertEqual(text["choices"][0]["message"]["content"][0], "a")
        bias = {str(ids[0]): 6}
        plain, punished = (self.server.chat(max_tokens=8, temperature=0, logit_bias=bias,
                                            ignore_eos=True, **more)["choices"][0]["message"]
                           ["content"] for more in ({}, {"frequency_penalty": 2}))
        self.assertLess(punished.count("a"), plain.count("a"))

    def test_logprobs(self):
        fields = dict(max_tokens=6, seed=3, ignore_eos=True, temperature=1, logprobs=True,
                      top_logprobs=2)
        entries = self.server.chat(**fields)["choices"][0]["logprobs"]["content"]
        self.assertEqual(len(entries), 6)
        for entry in entries:
            self.assertLess(entry["logprob"], 0)
            self.assertEqual(len(entry["top_logprobs"]), 2)
            self.assertGreaterEqual(entry["top_logprobs"][0]["logprob"],
                                    entry["top_logprobs"][1]["logprob"])
            self.assertEqual(bytes(entry["bytes"]).decode(errors="replace"), entry["token"])
        streamed = []
        for chunk in self.server.stream(**fields):
            streamed += (chunk["choices"][0]["logprobs"] or {"content": []})["content"]
        self.assertEqual(streamed, entries)

    def test_completions(self):
        fields = dict(model=QWEN, prompt="the sea", max_tokens=10, seed=1, ignore_eos=True,
                      temperature=1)
        whole = self.server.json("POST", "/v1/completions", fields)
        self.assertEqual(whole["object"], "text_completion")
        chunks = self.server.stream("/v1/completions", **fields)
        self.assertEqual("".join(c["choices"][0]["text"] for c in chunks),
                         whole["choices"][0]["text"])
        self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "length")
        ids = self.server.json("POST", "/tokenize", {"prompt": "the sea"})["tokens"]
        for prompt in (ids, ["the sea"], [ids]):
            same = self.server.json("POST", "/v1/completions", {**fields, "prompt": prompt})
            self.assertEqual(same["choices"], whole["choices"])
        many = self.server.json("POST", "/v1/completions",
                                {**fields, "prompt": ["the sea", "a ship"], "n": 2, "logprobs": 1})
        self.assertEqual([c["index"] for c in many["choices"]], [0, 1, 2, 3])
        self.assertEqual(many["choices"][0]["text"], whole["choices"][0]["text"])
        self.assertEqual(many["usage"]["completion_tokens"], 40)
        logprobs = many["choices"][3]["logprobs"]
        self.assertEqual([len(v) for v in logprobs.values()], [10] * 4)
        self.assertEqual(logprobs["text_offset"][0], 0)
        for prompt in ([], [[]], [-1], [99999], ["a", 1], 5, ""):
            error = self.server.json("POST", "/v1/completions", {**fields, "prompt": prompt},
                                     400)["error"]
            self.assertTrue(error["message"])

    def test_tokens_there_and_back(self):
        for model in (QWEN, PHI):
            text = "the cat & 你好"
            reply = self.server.json("POST", "/tokenize", {"model": model, "prompt": text,
                                                           "add_special_tokens": False})
            self.assertEqual(reply["count"], len(reply["tokens"]))
            self.assertEqual(reply["max_model_len"], 4096)
            back = self.server.json("POST", "/detokenize",
                                    {"model": model, "tokens": reply["tokens"]})
            self.assertEqual(back["prompt"].lstrip(), text)
        chat = self.server.json("POST", "/tokenize",
                                {"messages": [{"role": "user", "content": "hi"}]})
        self.assertGreater(chat["count"], 5)
        self.server.json("POST", "/tokenize", {}, 400)
        self.server.json("POST", "/detokenize", {"tokens": [10 ** 6]}, 400)

    def test_embeddings(self):
        def embed(text, **more):
            reply = self.server.json("POST", "/v1/embeddings", {"input": text, **more})
            return [entry["embedding"] for entry in reply["data"]]

        [sea], [ship] = embed("the sea"), embed("a ship and a whale")
        self.assertAlmostEqual(sum(x * x for x in sea), 1, places=5)
        self.assertNotEqual(sea, ship)
        self.assertEqual(embed(["the sea", "a ship and a whale"]), [sea, ship])
        self.assertEqual(embed("the sea"), [sea], "a cached prefix changes nothing")
        ids = self.server.json("POST", "/tokenize", {"prompt": "the sea"})["tokens"]
        self.assertEqual(embed(ids), [sea])
        [coded] = embed("the sea", encoding_format="base64")
        floats = struct.unpack(f"<{len(sea)}f", base64.b64decode(coded))
        for a, b in zip(floats, sea):
            self.assertAlmostEqual(a, b, places=6)
        [last] = embed("the sea", pooling="last")
        self.assertNotEqual(last, sea)
        self.assertEqual(embed("the sea", pooling="last"), [last])
        [one], [same] = embed([ids[:1]]), embed([ids[:1]], pooling="last")
        self.assertEqual(one, same, "of one token both poolings are the same")
        for bad in ({}, {"input": ""}, {"input": "x", "pooling": "max"}, {"input": "x", "n": 2},
                    {"input": "x", "dimensions": 3}):
            self.server.json("POST", "/v1/embeddings", bad, 400)

    def test_a_second_turn_finds_the_first_in_the_cache(self):
        messages = [{"role": "system", "content": "be brief, turn " + os.urandom(4).hex()},
                    {"role": "user", "content": "hello " * 40}]
        first = self.server.chat(messages=messages, max_tokens=4)
        text = first["choices"][0]["message"]["content"]
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "more"}]
        usage = self.server.chat(messages=messages, max_tokens=4)["usage"]
        self.assertGreaterEqual(usage["prompt_tokens_details"]["cached_tokens"],
                                first["usage"]["prompt_tokens"] - 2)
        self.assertLess(usage["prompt_tokens_details"]["cached_tokens"], usage["prompt_tokens"])

    def test_tools_need_a_template_that_knows_them(self):
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
        error = self.server.chat(400, tools=[tool])["error"]
        self.assertEqual(error["param"], "tools")
        self.server.chat(tools=[tool], tool_choice="none", max_tokens=1)
        for bad in ([{"type": "x"}], [{"type": "function"}], "x",
                    [{"type": "function", "function": {"parameters": {}}}],
                    [{"type": "function", "function": {"name": "f", "colour": 1}}]):
            self.server.chat(400, tools=bad)
        self.server.chat(400, tools=[tool], tool_choice="required")
        self.server.chat(400, tools=[tool], tool_choice="sometimes")
        self.server.chat(400, tools=[tool],
                         tool_choice={"type": "function", "function": {"name": "g"}})

    def test_the_page_is_its_own_and_nothing_else_is_to_be_had(self):
        response, text = self.server.request("GET", "/")
        self.assertIn("text/html", response.headers["Content-Type"])
        self.assertIn("default-src 'self'", response.headers["Content-Security-Policy"])
        kinds = {".js": "javascript", ".css": "text/css", ".svg": "image/svg+xml"}
        names = re.findall(r'(?:src|href)="(?:\./)?([^"]+\.(?:js|css|svg))"', text.decode())
        self.assertGreaterEqual(len(names), 2, text)
        for name in names:
            response, _ = self.server.request("GET", "/" + name)
            self.assertEqual(response.status, 200, name)
            self.assertIn(kinds[pathlib.Path(name).suffix], response.headers["Content-Type"])
        self.assertEqual(self.server.request("HEAD", "/")[1], b"")
        for path in ("/../README.md", "//etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/page",
                     "/index.html/", "/server.log"):
            self.server.json("GET", path, status=404)

    def test_the_page_is_compressed_and_kept_by_browsers(self):
        page = self.server.request("GET", "/")[1]
        if b'id="app"' not in page:
            self.skipTest("this build has no page (it needs npm)")
        script = "/" + re.search(r'src="(?:\./)?([^"]+\.js)"', page.decode())[1]
        for path in ("/", script):
            plain, text = self.server.request("GET", path)
            self.assertIsNone(plain.headers["Content-Encoding"])
            for accepted in ("gzip", "br, gzip;q=0.5", "*", "deflate , GZIP"):
                packed, data = self.server.request("GET", path,
                                                   headers={"Accept-Encoding": accepted})
                self.assertEqual(packed.headers["Content-Encoding"], "gzip", accepted)
                self.assertEqual(gzip.decompress(data), text)
                self.assertLess(len(data), 0.65 * len(text))
                self.assertEqual(packed.headers["Vary"], "Accept-Encoding")
                self.assertNotEqual(packed.headers["ETag"], plain.headers["ETag"])
            for accepted in ("gzip;q=0", "br", "x-gzip2, deflate", "br;q=1, gzip; q=0.0", ""):
                reply, data = self.server.request("GET", path,
                                                  headers={"Accept-Encoding": accepted})
                self.assertIsNone(reply.headers["Content-Encoding"], accepted)
                self.assertEqual(data, text)
            tag = plain.headers["ETag"]
            for asked, status in ((tag, 304), (f'"x", {tag}', 304), ('"x"', 200)):
                reply, data = self.server.request("GET", path, headers={"If-None-Match": asked})
                self.assertEqual((reply.status, len(data)), (status, 0 if status == 304 else
                                                             len(text)))
                self.assertEqual(reply.headers["ETag"], tag)
            self.server.json("GET", (path + "index.html" if path == "/" else path) + ".gz",
                             status=404)
        self.assertIn("immutable", plain.headers["Cache-Control"])
        self.assertEqual(self.server.request("GET", "/")[0].headers["Cache-Control"], "no-cache")
        self.assertEqual(self.server.request("GET", "/v1/models")[0].headers["Cache-Control"],
                         "no-store")

    def test_json_and_schemas_bind_the_answer(self):
        fields = dict(temperature=1, top_k=0, max_tokens=2000)
        schema = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]},
                                                   "n": {"type": "integer", "maximum": 9}},
                  "required": ["colour", "n"], "additionalProperties": False}
        for seed in range(5):
            choice = self.server.chat(seed=seed, response_format={
                "type": "json_schema", "json_schema": {"name": "x", "strict": True,
                                                       "schema": schema}}, **fields)["choices"][0]
            self.assertEqual(choice["finish_reason"], "stop")
            value = json.loads(choice["message"]["content"])
            self.assertEqual(sorted(value), ["colour", "n"])
            self.assertIn(value["colour"], ("red", "blue"))
            self.assertLessEqual(value["n"], 9)
        choice = self.server.chat(seed=1, response_format={"type": "json_object"},
                                  **{**fields, "max_tokens": 300})["choices"][0]
        self.assertEqual(choice["message"]["content"].lstrip()[0], "{")
        for bad in ({"type": "yaml"}, {}, {"type": "json_schema"}, {"type": "text", "colour": 1},
                    {"type": "json_schema", "json_schema": {"name": "x"}},
                    {"type": "json_object", "json_schema": {"schema": {}}},
                    {"type": "json_schema", "json_schema": {"schema": {"type": "colour"}}}):
            self.server.chat(400, response_format=bad)
        error = self.server.chat(400, response_format={"type": "json_schema", "json_schema": {
            "schema": {"type": "array", "contains": {"type": "integer"},
                       "unevaluatedItems": {"not": {}}}}})["error"]
        self.assertEqual(error["param"], "response_format")

    def test_an_expression_binds_the_answer(self):
        form = {"type": "regex", "regex": "(yes|no), [0-9]{2,4} (times|\u6b21)"}
        fields = dict(temperature=1, top_k=0, max_tokens=200, response_format=form)
        for seed in range(5):
            chat = self.server.chat(seed=seed, **fields)["choices"][0]
            plain = self.server.json("POST", "/v1/completions",
                                     {"prompt": "the sea", "seed": seed, **fields})["choices"][0]
            for choice, text in ((chat, chat["message"]["content"]), (plain, plain["text"])):
                self.assertEqual(choice["finish_reason"], "stop")
                self.assertTrue(re.fullmatch(form["regex"], text), text)
        for bad in ({"type": "regex"}, {"type": "regex", "regex": "("}, {"type": "text",
                    "regex": "a"}, {"type": "regex", "regex": 1},
                    {"type": "regex", "regex": r"(a)\1"}):
            error = self.server.chat(400, response_format=bad)["error"]
            self.assertTrue(error["param"].startswith("response_format"), error)

    def test_wrong_requests_are_refused_by_name(self):
        user = [{"role": "user", "content": "x"}]
        cases = [({"foo": 1}, "foo"), ({"messages": []}, "messages"),
                 ({"messages": [{"role": "user", "content": "x", "colour": 1}]},
                  "messages[0].colour"),
                 ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
                 ({"messages": user, "temperature": 3}, "temperature"),
                 ({"messages": user, "temperature": "hot"}, "temperature"),
                 ({"messages": user, "n": 0}, "n"),
                 ({"messages": user, "logit_bias": {"x": 1}}, "logit_bias"),
                 ({"messages": user, "stop": [""]}, "stop"),
                 ({"messages": user, "top_logprobs": 3}, "top_logprobs"),
                 ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {
                     "url": "x"}}]}]}, "messages[0].content[0]"),
                 ({"messages": [{"role": "user", "content": [{"type": "text"}]}]},
                  "messages[0].content[0]"),
                 ({"messages": [{"role": "user", "content": "x " * 5000}]}, "messages"),
                 ({"messages": user, "response_format": {"type": "regex"}}, "response_format"),
                 ({}, "messages")]
        for body, param in cases:
            error = self.server.json("POST", "/v1/chat/completions", body, 400)["error"]
            self.assertEqual(error["param"], param, error)
            self.assertEqual(error["type"], "invalid_request_error")
            self.assertTrue(error["code"], error)
        message = self.server.chat(400, max_tokens=5000000000)["error"]["message"]
        self.assertIn("is 5000000000; it must be from 1 to 1000000000", message)
        error = self.server.chat(404, model="none")["error"]
        self.assertEqual(error["code"], "model_not_found")
        self.assertIn(f"{QWEN}, {PHI}", error["message"])
        self.assertEqual(self.server.json("POST", "/v1/completions", {"prompt": [1, 9999999]},
                                          400)["error"]["code"], "invalid_value")
        self.assertIn("no body", self.server.json("POST", "/tokenize", b"", 400)["error"]["message"])

    def test_fields_of_clients_that_mean_nothing_here_are_accepted(self):
        reply = self.server.chat(max_tokens=1, user="u", metadata={"a": "b"}, store=False,
                                 service_tier="auto", safety_identifier="s", prompt_cache_key="k")
        self.assertEqual(reply["usage"]["completion_tokens"], 1)
        self.server.stream(max_tokens=1, stream_options={"include_obfuscation": False})
        fields = dict(max_tokens=20, ignore_eos=True, temperature=1, seed=2)
        texts = [self.server.chat(top_k=k, **fields)["choices"][0]["message"]["content"]
                 for k in (-1, 0, 1)]
        self.assertEqual(texts[0], texts[1])  # no limit, as vLLM spells it
        self.assertNotEqual(texts[0], texts[2])

    def test_other_wrong_requests(self):
        self.server.json("GET", "/nothing", status=404)
        self.server.json("POST", "/v1/models", {}, status=405)
        for body in (b"", b"{", b"[]", b'{"model": "\xff"}', b'{"a":1,"a":2}', b"[" * 100000):
            error = self.server.json("POST", "/v1/chat/completions", body, 400)["error"]
            self.assertEqual(error["code"], "invalid_utf8" if b"\xff" in body else "invalid_json")


class Turns(unittest.TestCase):
    def order(self, headers, address):
        """Five requests wait, the last one with `headers` from `address`: when it is answered."""
        done = []
        with Server("--parallel", "1", models=(QWEN,)) as server:
            def ask(i):
                connection = server.connect()
                connection.source_address = (address if i == 4 else "127.0.0.1", 0)
                connection.request("POST", "/v1/chat/completions",
                                   json.dumps(LONG | {"stream": False, "max_tokens": 100}),
                                   headers if i == 4 else {})
                connection.getresponse().read()
                done.append(i)

            blocker = raw(server, post(LONG))
            blocker.recv(100)
            threads = [threading.Thread(target=ask, args=(i,)) for i in range(5)]
            for i, thread in enumerate(threads):
                thread.start()
                wait_until(lambda: server.metric("tandem_requests_waiting", model=QWEN) > i)
            blocker.close()
            for thread in threads:
                thread.join()
        return done.index(4)

    def test_an_address_has_its_turn_and_an_invented_key_has_none(self):
        self.assertLess(self.order({}, "127.0.0.2"), 4)
        self.assertEqual(self.order({"Authorization": "Bearer invented"}, "127.0.0.1"), 4)


class Tools(unittest.TestCase):
    """With a template that has tools. What the random model says is forced by tool_choice."""
    TOOLS = [{"type": "function", "function": {
        "name": name, "description": "Tells the weather.", "parameters": {
            "type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}},
            "required": ["city"], "additionalProperties": False}}}
        for name in ("weather_now", "weather_later")]

    @classmethod
    def setUpClass(cls):
        cls.plain, cls.pieces = make_tool_model(tokens=("<tool", "_call>", "_call>\n{", "_call>x"))
        cls.special, cls.triggers = make_tool_model("special", ("<tool_call>",), special=True)
        cls.server = Server(models=(cls.plain, cls.special))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def ask(self, **fields):
        fields = dict(tools=self.TOOLS, temperature=1, seed=4, max_tokens=2000) | fields
        return self.server.chat(**fields)["choices"][0]

    def check(self, call, names):
        self.assertEqual(call["type"], "function")
        self.assertIn(call["function"]["name"], names)
        self.assertIn(json.loads(call["function"]["arguments"])["city"], ("Oslo", "Rome"))

    def test_required_and_named(self):
        choice = self.ask(tool_choice="required")
        self.assertEqual(choice["finish_reason"], "tool_calls")
        self.assertIsNone(choice["message"]["content"])
        for call in choice["message"]["tool_calls"]:
            self.check(call, ("weather_now", "weather_later"))
        named = {"type": "function", "function": {"name": "weather_later"}}
        for seed in range(3):
            [call] = self.ask(tool_choice=named, seed=seed)["message"]["tool_calls"]
            self.check(call, ("weather_later",))
        [call] = self.ask(tool_choice="required", parallel_tool_calls=False)["message"][
            "tool_calls"]
        self.check(call, ("weather_now", "weather_later"))

    def test_a_stream_brings_the_same_calls(self):
        whole = self.ask(tool_choice="required")["message"]["tool_calls"]
        chunks = self.server.stream(tools=self.TOOLS, temperature=1, seed=4, max_tokens=2000,
                                    tool_choice="required")
        deltas = [call for chunk in chunks
                  for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
        self.assertEqual([d["index"] for d in deltas], list(range(len(whole))))
        self.assertEqual([d["function"] for d in deltas], [c["function"] for c in whole])
        self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "tool_calls")
        self.assertEqual("".join(c["choices"][0]["delta"].get("content") or "" for c in chunks),
                         "")

    def test_calls_that_the_model_begins_are_valid(self):
        """The weights are random, but the beginning of calls is made likely."""
        n_calls, n_texts = 0, 0
        for model, ids in ((self.plain, self.pieces), (self.special, self.triggers)):
            for seed in range(20):
                fields = dict(model=model, seed=seed, max_tokens=400, logprobs=True,
                              logit_bias={str(id_): 6 for id_ in ids})
                choice = self.ask(parallel_tool_calls=seed % 4 > 0, **fields)
                calls, text = choice["message"].get("tool_calls", []), choice["message"]["content"]
                for call in calls:
                    self.check(call, ("weather_now", "weather_later"))
                raw = b"".join(bytes(entry["bytes"]) for entry in choice["logprobs"]["content"])
                begun = raw.count(b"<tool_call>")
                self.assertIn(begun - len(calls), (0, choice["finish_reason"] == "length"), raw)
                if seed % 4 == 0:
                    self.assertLessEqual(len(calls), 1)
                    self.assertEqual(len(calls), choice["finish_reason"] == "tool_calls")
                n_calls, n_texts = n_calls + len(calls), n_texts + bool(text)
        self.assertGreater(n_calls, 40)
        self.assertGreater(n_texts, 10)

    def test_a_format_beside_tools(self):
        """Calls, or a document that validates."""
        schema = {"type": "object", "properties": {"kind": {"enum": ["a <tool_call>", "b"]}},
                  "required": ["kind"], "additionalProperties": False}
        formats = [{"type": "json_object"}, {"type": "json_schema", "json_schema": {
            "name": "x", "schema": schema}}]
        kinds = set()
        for seed in range(24):
            fields = dict(model=self.special, seed=seed, response_format=formats[seed % 2],
                          logit_bias={str(id_): 4 for id_ in self.bytes_of("<")}, max_tokens=900)
            choice = self.ask(**fields)
            kinds.add(choice["finish_reason"])
            for call in choice["message"].get("tool_calls", []):
                self.check(call, ("weather_now", "weather_later"))
            if choice["finish_reason"] == "tool_calls":
                self.assertIsNone(choice["message"]["content"])
            elif choice["finish_reason"] == "stop":
                value = json.loads(choice["message"]["content"])
                self.assertIsInstance(value, dict)
                self.assertTrue(seed % 2 == 0 or value["kind"] in ("a <tool_call>", "b"))
            if seed < 4:
                required = self.ask(**fields, tool_choice="required")
                self.assertEqual(required["finish_reason"], "tool_calls")
        self.assertGreaterEqual(kinds, {"tool_calls", "stop"})
        bad = {"type": "json_schema", "json_schema": {"schema": {"$dynamicRef": "#x"}}}
        error = self.server.chat(400, tools=self.TOOLS, response_format=bad)["error"]
        self.assertEqual(error["param"], "response_format")
        regex = {"type": "regex", "regex": "yes|no"}
        error = self.server.chat(400, tools=self.TOOLS, response_format=regex)["error"]
        self.assertEqual((error["param"], error["code"]), ("response_format", "unsupported_value"))
        self.assertIn(self.ask(tool_choice="none", response_format=regex)["message"]["content"],
                      ("yes", "no"))
        self.assertTrue(self.ask(tool_choice="required", response_format=regex)["message"][
            "tool_calls"])

    def test_parameters_that_cannot_be_honoured(self):
        function = {"name": "f", "parameters": {"type": "object", "$dynamicRef": "#x"}}
        tools = [{"type": "function", "function": function}]
        for more in ({}, {"response_format": {"type": "json_object"}}):
            error = self.server.chat(400, tools=tools, **more)["error"]
            self.assertEqual(error["param"], "tools")
            self.assertIn("$dynamicRef", error["message"])
        function["strict"] = False
        [call] = self.ask(tools=tools, tool_choice="required", parallel_tool_calls=False,
                          logit_bias={str(id_): 8 for id_ in self.bytes_of("}")})[
            "message"]["tool_calls"]
        self.assertIsInstance(json.loads(call["function"]["arguments"]), dict)

    def bytes_of(self, text):
        return self.server.json("POST", "/tokenize", {"prompt": text})["tokens"]

    def test_the_round_trip(self):
        message = self.ask(tool_choice="required", parallel_tool_calls=False)["message"]
        call = message["tool_calls"][0]
        messages = [{"role": "user", "content": "What is the weather?"}, message,
                    {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}]
        reply = self.ask(messages=messages, tool_choice="none", max_tokens=5)
        self.assertNotIn("tool_calls", reply["message"])
        self.assertEqual(self.ask(messages=messages, max_tokens=5)["finish_reason"], "length")


main()
