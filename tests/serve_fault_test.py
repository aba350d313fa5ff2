#!/usr/bin/env python3
"""tandem serve under faults: clients, disks and models that misbehave; load; shutting down."""
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest
import urllib.request

from serve_client import (LONG, MODELS, PHI, PROGRAM, QWEN, Server, answer, is_sanitized, main,
                          post, raw, wait_until)

DATA = pathlib.Path(os.environ["TANDEM_SOURCE"]) / "tests/data"


def resident(server):
    """Its peak in kB."""
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def resident_when_idle(server):
    """Once the engine has made memory of its cache resident."""
    seen = [resident(server)]

    def is_settled():
        time.sleep(0.3)
        seen.append(resident(server))
        return seen[-1] == seen[-2]

    assert wait_until(is_settled)
    return seen[-1]


class Clients(unittest.TestCase):
    def test_who_vanishes_is_cancelled_and_frees_the_place(self):
        with Server("--parallel", "1") as server:
            expected, noticed = answer(server), 0
            left = lambda: [x for x in server.lines() if x.get("code") == "client_left"]
            for body in (LONG, {**LONG, "stream": False}, {**LONG, "n": 3}):
                started = time.monotonic()
                connection = raw(server, post(body))
                if body["stream"]:
                    connection.recv(100)
                self.assertTrue(wait_until(
                    lambda: server.metric("tandem_requests_running", model=QWEN) == 1))
                connection.close()
                present = time.monotonic() - started
                self.assertTrue(wait_until(
                    lambda: server.metric("tandem_requests_running", model=QWEN) == 0))
                self.assertEqual(answer(server), expected)
                noticed += 1
                self.assertTrue(wait_until(lambda: len(left()) == noticed), "no line says so")
                self.assertLess(left()[-1]["seconds"], present + 0.5, "it was noticed late")
            self.assertTrue(wait_until(lambda: [x.get("finish") for x in server.lines()
                                                if x.get("status") == 499] == ["cancelled"] * 3))
            self.assertLess(max(x["answer_tokens"] for x in server.lines()
                                if x.get("status") == 499), 3 * 4000)

    def test_slow_senders_are_closed_and_delay_nobody(self):
        with Server("--receive-timeout", "1") as server:
            head = raw(server, b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                               b"Content-Length: 100\r\n\r\n{")
            closed, deadline = False, time.monotonic() + 60
            head.settimeout(0.2)
            while not closed and time.monotonic() < deadline:
                try:
                    head.sendall(b" ")
                    closed = not head.recv(1)
                except socket.timeout:
                    answer(server)
                except OSError:
                    closed = True
            head.close()
            self.assertTrue(closed)

    def test_a_head_of_one_byte_at_a_time_is_cut_off(self):
        with Server("--receive-timeout", "1") as server:
            slow, closed = raw(server, b"GET /v1/models HTTP/1.1\r\nA: "), False
            slow.settimeout(0.1)
            deadline = time.monotonic() + 60
            while not closed and time.monotonic() < deadline:
                try:
                    slow.sendall(b"b")
                    closed = not slow.recv(1)
                except socket.timeout:
                    pass
                except OSError:
                    closed = True
            slow.close()
            self.assertTrue(closed)
            self.assertTrue(wait_until(lambda: [x.get("status") for x in server.lines()
                                                if "id" in x] == [408]))
            answer(server)

    def test_slow_readers_delay_nobody(self):
        with Server() as server:
            expected = answer(server)
            slow = [raw(server, post(LONG)) for _ in range(4)]
            for _ in range(3):
                for connection in slow:
                    connection.recv(1)
                self.assertEqual(answer(server), expected)
            for connection in slow:
                connection.close()

    def test_who_does_not_read_is_cut_off_and_costs_little(self):
        with Server("--timeout", "1") as server:
            expected, before = answer(server), resident_when_idle(server)
            slow = [socket.socket() for _ in range(3)]
            for connection in slow: # of each some 40 MB would come
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.connect(tuple(server.address.split(":")[:1]) +
                                   (int(server.address.split(":")[1]),))
                connection.sendall(post({**LONG, "n": 3, "logprobs": True, "top_logprobs": 20}))

            def ended():
                self.assertEqual(answer(server), expected)
                return [x for x in server.lines() if x.get("code") == "timeout"]

            self.assertTrue(wait_until(lambda: len(ended()) == 3))
            for line in ended():
                # 504: a slow machine made so little until then that the sockets held it.
                self.assertIn(line["status"], (408, 504))
                self.assertEqual(line["finish"], "cancelled")
                self.assertLess(line["seconds"], 1 + 5 + 3)
            self.assertEqual(server.metric("tandem_answers_total", model=QWEN,
                                           finish="cancelled"), 9)
            grown = resident(server) - before
            self.assertTrue(grown < 60000 or is_sanitized(server), f"{grown} kB")
            for connection in slow:
                connection.close()

    def test_large_bodies(self):
        with Server("--max-body", "1") as server:
            before = resident(server)
            block = b"x" * (1 << 20)
            for head in (b"Content-Length: 104857600\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"):
                connection = raw(server, b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n" +
                                 head)
                for _ in range(100):
                    if b"chunked" in head:
                        connection.sendall(b"100000\r\n" + block + b"\r\n")
                    else:
                        connection.sendall(block)
                if b"chunked" in head:
                    connection.sendall(b"0\r\n\r\n")
                reply = connection.recv(4096)
                self.assertIn(b" 413 ", reply.split(b"\r\n")[0])
                self.assertIn(b"body_too_large", reply)
                connection.close()
            early = raw(server, b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                                b"Content-Length: 104857600\r\nExpect: 100-continue\r\n\r\n")
            self.assertIn(b" 413 ", early.recv(4096).split(b"\r\n")[0])
            early.close()
            self.assertLess(resident(server) - before, 100000, "kB for 200 MB of bodies")
            answer(server)

    def test_garbage_instead_of_http(self):
        with Server() as server:
            for data in (b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 5000, b"GET\r\n\r\n",
                         b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 200000 + b"\r\n\r\n",
                         b"POST /v1/completions HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                         b"POST /v1/completions HTTP/1.1\r\nContent-Length: 99999999999999999999999"
                         b"\r\n\r\n", b"GET /%00%ff/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n"
                         b"\r\n"):
                connection = raw(server, data, timeout=5)
                try:
                    connection.shutdown(socket.SHUT_WR)
                    reply = connection.recv(1000)
                except OSError:
                    reply = b""
                self.assertNotIn(b" 200 ", reply.split(b"\r\n")[0])
                connection.close()
            answer(server)

    def test_the_context_is_a_bound_with_numbers(self):
        with Server("--context", "64") as server:
            error = server.chat(400, messages=[{"role": "user", "content": "x" * 500}])["error"]
            self.assertEqual(error["code"], "context_length_exceeded")
            self.assertRegex(error["message"], r"the prompt has \d+ tokens; at most 63 fit")


class Limits(unittest.TestCase):
    def test_a_full_queue_says_when_to_come_back(self):
        with Server("--parallel", "1", "--queue", "1") as server:
            busy = []
            for metric in ("tandem_requests_running", "tandem_requests_waiting"):
                busy.append(raw(server, post(LONG)))  # not both at once: one has to wait alone
                self.assertTrue(wait_until(lambda: server.metric(metric, model=QWEN) == 1))
            response, text = server.request("POST", "/v1/chat/completions", LONG)
            self.assertEqual(response.status, 429, text)
            self.assertGreater(int(response.headers["Retry-After"]), 0)
            self.assertEqual(json.loads(text)["error"]["code"], "queue_full")
            for connection in busy:
                connection.close()
            self.assertTrue(wait_until(
                lambda: server.metric("tandem_requests_running", model=QWEN) == 0))
            answer(server)

    def test_an_answer_has_a_time_limit(self):
        with Server("--timeout", "1", "--parallel", "1") as server:
            blockers = [raw(server, post({**LONG, "n": 16})) for _ in range(4)]
            response, text = server.request("POST", "/v1/chat/completions",
                                            {**LONG, "n": 16, "stream": False})
            self.assertEqual(response.status, 504, text[:300])
            self.assertEqual(json.loads(text)["error"]["code"], "timeout")
            for connection in blockers:
                connection.close()

    def test_a_model_that_is_removed(self):
        copies = MODELS / "copies"
        for model in (QWEN, PHI):
            shutil.copytree(MODELS / model, copies / model)
        with Server(models=(copies / QWEN, copies / PHI)) as server:
            expected = answer(server)
            shutil.rmtree(copies)
            self.assertEqual(answer(server), expected)
            for _ in range(2):
                error = server.chat(503, model=PHI)["error"]
                self.assertEqual(error["code"], "model_load_failed")
                self.assertIn(PHI, error["message"])
                self.assertEqual(answer(server), expected)
            failures = [x for x in server.lines() if x.get("event") == "model_load_failed"]
            self.assertEqual(len(failures), 2)
            self.assertIn("error", failures[0])
            shutil.copytree(MODELS / PHI, copies / PHI) # it is back
            answer(server, model=PHI)


class Log(unittest.TestCase):
    def test_one_line_for_each_request_and_no_prompts(self):
        with Server() as server:
            answer(server, messages=[{"role": "user", "content": "my secret"}])
            server.stream(**{**LONG, "max_tokens": 5})
            server.json("GET", "/nothing", status=404)
            server.json("POST", "/v1/completions", b'{"my secret', status=400)
            self.assertTrue(wait_until(lambda: len(server.lines()) == 5))
            # A line is written when the server is done with a request, which may be after its client.
            order = [(200, 8), (200, 5), (404, None), (400, None)]
            lines = sorted((x for x in server.lines() if "id" in x),
                           key=lambda x: order.index((x["status"], x.get("answer_tokens"))))
            self.assertEqual([x["status"] for x in lines], [200, 200, 404, 400])
            self.assertEqual([x.get("answer_tokens") for x in lines], [8, 5, None, None])
            self.assertEqual(lines[0]["model"], QWEN)
            self.assertEqual(lines[0]["client"], "127.0.0.1")
            for key in ("queue_seconds", "prefill_seconds", "decode_seconds", "seconds"):
                self.assertGreaterEqual(lines[0][key], 0)
            self.assertEqual(len({x["id"] for x in lines}), 4)
            self.assertNotIn("secret", server.log.read_text())
            self.assertNotIn("secret", server.read_errors())
            self.assertIn(lines[0]["id"], server.errors)
        with Server("--log-prompts") as server:
            answer(server, messages=[{"role": "user", "content": "my secret"}])
            self.assertTrue(wait_until(lambda: "secret" in server.log.read_text()))

    def test_rotation(self):
        with Server() as server:
            answer(server)
            self.assertTrue(wait_until(lambda: len(server.lines()) == 2))
            server.log.rename(server.log.with_suffix(".1"))
            answer(server)
            self.assertTrue(wait_until(server.log.exists))
            self.assertTrue(wait_until(lambda: len(server.lines()) == 1))

    def test_a_full_disk_costs_lines_and_nothing_else(self):
        with Server("--log", "/dev/full") as server:
            first = answer(server)
            self.assertEqual(answer(server), first)
            self.assertGreaterEqual(server.metric("tandem_log_lines_lost_total"), 2)
            self.assertEqual(server.read_errors().count("are lost"), 1)

    def test_a_removed_folder_costs_lines_until_it_is_back(self):
        folder = MODELS / "logs"
        folder.mkdir()
        with Server("--log", str(folder / "a.log")) as server:
            answer(server)
            shutil.rmtree(folder)
            for _ in range(2):
                answer(server)
            self.assertTrue(wait_until(
                lambda: server.metric("tandem_log_lines_lost_total") >= 2))
            self.assertRegex(server.read_errors(), "lines of .*a.log are lost: No such file")
            folder.mkdir()
            answer(server)
            self.assertTrue(wait_until(lambda: (folder / "a.log").exists()))
            folder.rename(MODELS / "logs2") # the file still has a name: nothing is lost
            lost = server.metric("tandem_log_lines_lost_total")
            answer(server)
            self.assertEqual(server.metric("tandem_log_lines_lost_total"), lost)

    def test_what_the_log_tells_at_the_start(self):
        for path, words in (("/nowhere/a.log", "No such file"), (str(MODELS), "Is a directory")):
            with self.assertRaisesRegex(AssertionError, f"cannot write the log {path}.*{words}"):
                Server("--log", path)

    def test_no_log(self):
        with Server("--log", "", "--quiet") as server:
            answer(server)
            self.assertFalse(server.log.exists())
            self.assertEqual(server.read_errors(), "")


class Security(unittest.TestCase):
    def test_keys(self):
        keys = MODELS / "keys"
        keys.write_text("# ours\nalpha beta\ngamma\n")
        with Server("--api-key-file", str(keys), environment={"TANDEM_API_KEYS": "delta"}) as server:
            server.json("GET", "/health")
            for headers in ({}, {"Authorization": "Bearer nope"}, {"Authorization": "Basic alpha"},
                            {"Authorization": "Bearer alph"}, {"Authorization": "Bearer "},
                            {"Authorization": "Bearer # ours"}):
                for path in ("/v1/models", "/metrics", "/nothing"):
                    error = server.json("GET", path, status=401, headers=headers)["error"]
                    self.assertEqual(error["code"], "invalid_api_key")
            for key in ("alpha", "beta", "gamma", "delta"):
                server.json("GET", "/v1/models", headers={"Authorization": "Bearer " + key})
            self.assertNotIn("alpha", server.log.read_text())

    def test_pages_of_others_are_refused(self):
        with Server() as server:
            own = {"Host": server.address, "Origin": "http://" + server.address}
            server.json("GET", "/v1/models", headers=own)
            for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"},
                            {"Host": "evil.example:7860"}, {"Host": "127.0.0.1.evil.example"},
                            {"Host": "evil.example", "Origin": "http://evil.example"}):
                server.json("GET", "/v1/models", headers=headers, status=403)
            self.assertIsNone(server.request("GET", "/health")[0].headers[
                "Access-Control-Allow-Origin"])
            server.json("OPTIONS", "/v1/models", status=405)
        with Server("--cors", "https://page.example", "--allow-host", "box.lan") as server:
            server.json("GET", "/v1/models", headers={"Host": "box.lan:80"})
            page = {"Origin": "https://page.example"}
            response, _ = server.request("OPTIONS", "/v1/chat/completions", headers=page)
            self.assertEqual(response.status, 204)
            response, _ = server.request("GET", "/v1/models", headers=page)
            self.assertEqual(response.headers["Access-Control-Allow-Origin"], page["Origin"])
            server.json("GET", "/v1/models", headers={"Origin": "https://other.example"}, status=403)

    def test_tls(self):
        with Server("--tls-cert", str(DATA / "serve_cert.pem"), "--tls-key",
                    str(DATA / "serve_key.pem")) as server:
            self.assertTrue(server.url.startswith("https://"))
            host, port = server.address.rsplit(":", 1)
            context = ssl.create_default_context(cafile=str(DATA / "serve_cert.pem"))
            with socket.create_connection((host, int(port)), timeout=30) as plain:
                with context.wrap_socket(plain, server_hostname="localhost") as secure:
                    secure.sendall(post({**LONG, "max_tokens": 3}, extra="Connection: close\r\n"))
                    data = b""
                    while b"[DONE]" not in data:
                        data += secure.recv(4096)
            self.assertIn(b" 200 ", data.split(b"\r\n")[0])
            # Who speaks http to it gets no answer, and harms nobody.
            connection = raw(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(connection.recv(100), b"")
            connection.close()
            with urllib.request.urlopen(server.url + "/health", context=context) as reply:
                self.assertEqual(reply.status, 200)
        junk = MODELS / "junk.pem"
        (MODELS / "junk.gguf").write_bytes(b"GGUF")
        junk.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        for certificate, key in ((DATA / "serve_key.pem", DATA / "serve_key.pem"),
                                 (junk, DATA / "serve_key.pem"), (DATA / "serve_cert.pem", junk)):
            # Told before a model is opened, which this one could not be.
            with self.assertRaisesRegex(AssertionError, "TLS.*PEM"):
                Server("--tls-cert", str(certificate), "--tls-key", str(key), models=("junk.gguf",))
        with self.assertRaisesRegex(AssertionError, "belong together"):
            Server("--tls-cert", str(DATA / "serve_cert.pem"))


class Options(unittest.TestCase):
    def test_what_cannot_be_meant_is_refused_at_the_start(self):
        for args, code, words in (
                (("--port", "99999"), 2, "0 to 65535"), (("--parallel", "0"), 2, "--parallel 0"),
                (("--timeout", "0"), 2, "--timeout 0"), (("--max-body", "0"), 2, "--max-body 0"),
                (("--max-body", "99999999999999999"), 2, "--max-body"),
                (("--memory", "99999999999999999"), 2, "--memory"),
                (("--receive-timeout", "0"), 2, "--receive-timeout 0"),
                (("--cors", "https://page.example/"), 2, "without a path"),
                (("--cors", "page.example"), 2, "https://page.example"),
                (("--allow-host", "box.lan:80"), 2, "without port"),
                (("--adapter", "/nowhere"), 1, "/nowhere/adapter_config.json")):
            done = subprocess.run([PROGRAM, "serve", str(MODELS / QWEN), "--port", "0", *args],
                                  capture_output=True, timeout=60, check=False, cwd=MODELS)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(words, done.stderr.decode())

    def test_keys_and_certificates_that_are_not_there(self):
        empty, cert = MODELS / "empty", str(DATA / "serve_cert.pem")
        empty.write_text("# none\n")
        for args, keys, words in (
                ((), "", "TANDEM_API_KEYS is set, but holds no key"),
                (("--api-key-file", str(empty)), None, f"--api-key-file: {empty} holds no key"),
                (("--api-key-file", "/nowhere"), None, "--api-key-file: cannot open /nowhere"),
                (("--tls-cert", "/no", "--tls-key", cert), None, "--tls-cert: cannot open /no"),
                (("--tls-cert", cert, "--tls-key", "/no"), None, "--tls-key: cannot open /no")):
            with self.assertRaisesRegex(AssertionError, words):
                Server(*args, environment={} if keys is None else {"TANDEM_API_KEYS": keys})


class Load(unittest.TestCase):
    CLIENTS = 64

    def stream_all(self, server, results, index):
        body = {**LONG, "max_tokens": 60, "seed": index}
        connection = raw(server, post(body, extra="Connection: close\r\n"), timeout=120)
        data = b""
        while piece := connection.recv(65536):
            data += piece
        connection.close()
        events = [line[len("data: "):] for line in data.decode().splitlines()
                  if line.startswith("data: ")]
        if b" 200 " in data[:20] and events[-1:] != ["[DONE]"]:
            results[index] = ""
        elif events:
            results[index] = "".join(json.loads(e)["choices"][0]["delta"].get("content", "")
                                     for e in events[:-1])

    def start(self, server):
        results = {}
        threads = [threading.Thread(target=self.stream_all, args=(server, results, i))
                   for i in range(self.CLIENTS)]
        for thread in threads:
            thread.start()
        return results, threads

    def test_many_streams_equal_those_given_alone(self):
        with Server() as server:
            results, threads = self.start(server)
            for thread in threads:
                thread.join()
            self.assertEqual(len(results), self.CLIENTS)
            for i in range(0, self.CLIENTS, 7):
                alone = {}
                self.stream_all(server, alone, i)
                self.assertEqual(alone[i], results[i])

    def test_sigterm_lets_answers_end(self):
        server = Server()
        results, threads = self.start(server)
        self.assertTrue(wait_until(lambda: server.metric("tandem_requests_running", model=QWEN)))
        wait_until(lambda: server.metric("tandem_http_requests_total", status=200) >= 4)
        connection = server.connect()
        connection.request("GET", "/health")
        connection.getresponse().read()
        server.process.send_signal(signal.SIGTERM)
        self.assertTrue(wait_until(lambda: "shutting down" in server.read_errors()))
        self.assertRaises(OSError, server.request, "GET", "/health")
        for thread in threads:
            thread.join()
        self.assertEqual(server.stop(), 0, server.errors)
        self.assertGreater(len(results), 0)
        self.assertTrue(all(results.values()), "an answer was cut off")

    def test_an_answer_that_the_shutdown_cuts_says_so(self):
        server = Server("--parallel", "1", "--drain", "1")
        busy = [raw(server, post({**LONG, "n": 16, "stream": stream}))
                for stream in (True, True, False)]
        self.assertTrue(wait_until(  # for answers of the third
            lambda: server.metric("tandem_requests_waiting", model=QWEN) > 2 * 16))
        idle = server.connect()
        idle.request("GET", "/health")
        idle.getresponse().read()
        server.process.send_signal(signal.SIGTERM)
        self.assertTrue(wait_until(lambda: "shutting down" in server.read_errors()))
        for method, path in (("GET", "/health"), ("POST", "/v1/completions")):
            idle.request(method, path, "{}" if method == "POST" else None)
            response = idle.getresponse()
            self.assertEqual(response.status, 503, response.read())
            response.read()
        self.assertEqual(response.headers["Retry-After"], "5")
        idle.close()
        for connection in busy:
            data = b""
            while piece := connection.recv(65536):
                data += piece
            self.assertIn(b'"code":"shutting_down"', data[-300:])
            connection.close()
        server.process.wait(60)
        self.assertEqual([(x["status"], x["code"], x["finish"]) for x in server.lines()
                          if "finish" in x], [(503, "shutting_down", "cancelled")] * 3)
        self.assertEqual(server.stop(), 0, server.errors)

    def test_a_second_sigterm_does_not_wait(self):
        server = Server("--parallel", "1", "--drain", "3600")
        busy = [raw(server, post({**LONG, "n": 16})) for _ in range(8)]
        self.assertTrue(wait_until(lambda: server.metric("tandem_requests_running", model=QWEN)))
        server.process.send_signal(signal.SIGTERM)
        self.assertTrue(wait_until(lambda: "shutting down" in server.read_errors()))
        self.assertEqual(server.stop(), 0, server.errors)
        for connection in busy:
            connection.close()


main()
