#!/usr/bin/env python3
"""tandem serve: the API's behaviour, as clients see it (standard library only)."""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.environ["TANDEM_PROGRAM"]
MAKER = os.environ["TANDEM_MAKE_MODELS"]
FOLDER = tempfile.TemporaryDirectory()
MODELS = pathlib.Path(FOLDER.name)
QWEN, PHI = "tandem-random-qwen2", "tandem-random-phi3"


class Server:
    """A server of its own on a free port, stopped at the end of the `with`."""

    def __init__(self, *args, models=(QWEN, PHI)):
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [PROGRAM, "serve", *(str(MODELS / m) for m in models), "--port", "0", "--threads", "1",
             *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder.name)
        line = self.process.stdout.readline().decode()
        if "http" not in line:
            raise AssertionError("no server: " + self.process.stderr.read().decode())
        self.url = line.split()[-1]
        self.address = self.url.split("//")[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        self.folder.cleanup()
        self.errors = err.decode()
        return self.process.returncode

    def connect(self, timeout=60):
        host, port = self.address.rsplit(":", 1)
        return http.client.HTTPConnection(host, int(port), timeout=timeout)

    def request(self, method, path, body=None, headers=None):
        connection = self.connect()
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, headers or {})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response, text

    def json(self, method, path, body=None, status=200, headers=None):
        response, text = self.request(method, path, body, headers)
        if response.status != status:
            raise AssertionError(f"{method} {path}: {response.status}, not {status}: {text}")
        return json.loads(text)

    def chat(self, status=200, **fields):
        fields.setdefault("messages", [{"role": "user", "content": "hello"}])
        return self.json("POST", "/v1/chat/completions", fields, status)

    def stream(self, path="/v1/chat/completions", **fields):
        if path.endswith("chat/completions"):
            fields.setdefault("messages", [{"role": "user", "content": "hello"}])
        response, text = self.request("POST", path, {"stream": True, **fields})
        assert response.status == 200, text
        assert response.headers["Content-Type"].startswith("text/event-stream")
        events = text.decode().split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""], events[-2:]
        return [json.loads(event[len("data: "):]) for event in events[:-2]]


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
                 ({}, "messages")]
        for body, param in cases:
            error = self.server.json("POST", "/v1/chat/completions", body, 400)["error"]
            self.assertEqual(error["param"], param, error)
            self.assertEqual(error["type"], "invalid_request_error")
        self.assertEqual(self.server.chat(404, model="none")["error"]["code"], "model_not_found")
        self.server.json("GET", "/nothing", status=404)
        self.server.json("POST", "/v1/models", {}, status=405)
        for body in (b"", b"{", b"[]", b'{"model": "\xff"}', b'{"a":1,"a":2}', b"[" * 100000):
            error = self.server.json("POST", "/v1/chat/completions", body, 400)["error"]
            self.assertIn(error["code"], ("invalid_json", "invalid_utf8"))


def main():
    subprocess.run([MAKER, FOLDER.name], check=True, stdout=subprocess.DEVNULL)
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]])


main()
