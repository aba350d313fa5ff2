"""A server and a client for the tests of tandem serve (standard library only)."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.environ["TANDEM_PROGRAM"]
MAKER = os.environ["TANDEM_MAKE_MODELS"]
FOLDER = tempfile.TemporaryDirectory()
MODELS = pathlib.Path(FOLDER.name)
QWEN, PHI = "tandem-random-qwen2", "tandem-random-phi3"
BUNDLED = [pathlib.Path(os.environ["TANDEM_SOURCE"]) / "models" / name
           for name in ("tandem-qwen-tiny", "tandem-phi-tiny")]


class Server:
    """A server of its own on a free port, stopped at the end of the `with`."""

    def __init__(self, *args, models=(QWEN, PHI), environment=None):
        self.folder = tempfile.TemporaryDirectory()
        self.log = pathlib.Path(self.folder.name) / "server.log"
        self.stderr = open(pathlib.Path(self.folder.name) / "stderr", "w+")
        self.process = subprocess.Popen(
            [PROGRAM, "serve", *(str(MODELS / m) for m in models), "--port", "0", "--threads", "1",
             *args], stdout=subprocess.PIPE, stderr=self.stderr, cwd=self.folder.name,
            env={**os.environ, **(environment or {})})
        line = self.process.stdout.readline().decode()
        if "http" not in line:
            self.stop()
            raise AssertionError("no server: " + self.errors)
        self.url = line.split()[-1]
        self.address = self.url.split("//")[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=60)
        self.process.stdout.close()
        self.read_errors()
        self.stderr.close()
        self.folder.cleanup()
        return self.process.returncode

    def read_errors(self):
        self.stderr.seek(0)
        self.errors = self.stderr.read()
        return self.errors

    def lines(self):
        """The log's lines, parsed."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def metric(self, name, **labels):
        """The value of the sample with these labels; 0 if there is none."""
        wanted = name + ("{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}"
                         if labels else "")
        for line in self.request("GET", "/metrics")[1].decode().splitlines():
            if line.rsplit(" ", 1)[0] == wanted:
                return float(line.rsplit(" ", 1)[1])
        return 0

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


def raw(server, data, timeout=30):
    """A connection on which `data` was sent."""
    host, port = server.address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=timeout)
    connection.sendall(data)
    return connection


# An answer that goes on for as long as it may.
LONG = {"messages": [{"role": "user", "content": "go on"}], "max_tokens": 4000, "stream": True,
        "ignore_eos": True, "seed": 1, "temperature": 1}


def post(body, path="/v1/chat/completions", extra=""):
    """The bytes of a request."""
    data = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{extra}"
            f"Content-Length: {len(data)}\r\n\r\n").encode() + data


def answer(server, **fields):
    """The text of a short answer, which the same fields always give."""
    fields = {"max_tokens": 8, "seed": 1, "ignore_eos": True, "temperature": 1} | fields
    return server.chat(**fields)["choices"][0]["message"]["content"]


def wait_until(condition, seconds=20):
    """Whether the condition becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def is_sanitized(server):
    """Whether the program was built with a sanitizer, which keeps freed memory."""
    maps = pathlib.Path(f"/proc/{server.process.pid}/maps").read_text()
    return "libasan" in maps or "libtsan" in maps


def make_models():
    subprocess.run([MAKER, FOLDER.name], check=True, stdout=subprocess.DEVNULL)


TOOL_TEMPLATE = """{% if tools %}<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}Calls: <tool_call>
{"name": <name>, "arguments": <arguments>}
</tool_call><|im_end|>
{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content or '' }}{% for call in m.tool_calls or [] %}<tool_call>
{{ call.function | tojson }}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def add_tokens(path, tokens, special):
    """Adds tokens to a tokenizer.json in place of its last merges; their ids."""
    tokenizer = json.loads(path.read_text())
    model, ids = tokenizer["model"], []
    for token in tokens:
        ids.append(model["vocab"].pop("".join(model["merges"].pop().split(" "))))
        tokenizer["added_tokens"].append(
            {"id": ids[-1], "content": token, "special": special, "single_word": False,
             "lstrip": False, "rstrip": False, "normalized": False})
    path.write_text(json.dumps(tokenizer))
    return ids


def make_tool_model(name="with-tools", tokens=(), special=False):
    """The name of a copy of QWEN whose chat template has tools, and more tokens; their ids."""
    ids = []
    if not (MODELS / name).is_dir():
        shutil.copytree(MODELS / QWEN, MODELS / name)
        path = MODELS / name / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": TOOL_TEMPLATE}))
        ids = add_tokens(MODELS / name / "tokenizer.json", tokens, special)
    return name, ids


def main():
    make_models()
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]])
