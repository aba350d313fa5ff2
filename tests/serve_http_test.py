#!/usr/bin/env python3
"""tandem serve: HTTP itself, spoken by hand: heads that can be read in two ways, methods, targets,
names of hosts, pages of other origins, and the log's line for whatever is refused."""
import json
import re
import unittest

from serve_client import QWEN, Server, main, raw, wait_until

BODY = b'{"prompt":"a"}'
CHUNKS = b"e\r\n" + BODY + b"\r\n0\r\n\r\n"


def head(line="POST /tokenize HTTP/1.1", *headers, host="localhost"):
    return "\r\n".join([line, f"Host: {host}", *headers, "", ""]).encode()


def talk(server, data):
    """Everything that the server says until it closes the connection, or is silent."""
    connection, reply = raw(server, data, timeout=0.3), b""
    try:
        while piece := connection.recv(65536):
            reply += piece
        closed = True
    except TimeoutError:
        closed = False
    except ConnectionResetError:
        closed = True
    connection.close()
    return reply, closed


def statuses(reply):
    return [int(x) for x in re.findall(rb"HTTP/1\.1 (\d+) ", reply) if x != b"100"]


class Http(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--cors", "https://page.example", "--receive-timeout", "1",
                            models=(QWEN,))

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0, cls.server.errors

    def status(self, line, server=None, **host):
        """Of the reply to a request of this line; the connection closes behind it."""
        reply, _ = talk(server or self.server, head(line, "Connection: close", **host))
        self.assertEqual(len(statuses(reply)), 1, reply)
        return statuses(reply)[0]

    def test_a_head_with_two_meanings_is_refused_and_the_rest_not_read(self):
        length, chunked = f"Content-Length: {len(BODY)}", "Transfer-Encoding: chunked"
        hidden = head("GET /health HTTP/1.1")
        for data in (head("POST /tokenize HTTP/1.1", length, length) + BODY,
                     head("POST /tokenize HTTP/1.1", length, "Content-Length: 5") + BODY,
                     head("POST /tokenize HTTP/1.1", "Content-Length: 3", chunked) + CHUNKS,
                     head("POST /tokenize HTTP/1.1", chunked, chunked) + CHUNKS,
                     head("POST /tokenize HTTP/1.1", "Transfer-Encoding: xchunked") + CHUNKS,
                     head("POST /tokenize HTTP/1.1", "Transfer-Encoding: gzip, chunked") + CHUNKS,
                     head("POST /tokenize HTTP/1.1", "Transfer-Encoding : chunked") + CHUNKS,
                     head("GET /health HTTP/1.1", "Host: evil.example"),
                     b"GET /health HTTP/1.1\r\n\r\n"):
            reply, closed = talk(self.server, data + hidden)
            self.assertEqual(statuses(reply), [400], data)
            self.assertTrue(closed, data)
            self.assertEqual(json.loads(reply.split(b"\r\n\r\n")[1])["error"]["code"],
                             "malformed_request")

    def test_bodies_keep_alive_and_pipelines(self):
        length = f"Content-Length: {len(BODY)}"
        plain = head("POST /tokenize HTTP/1.1", length) + BODY
        chunked = head("POST /tokenize HTTP/1.1", "Transfer-Encoding: chunked") + CHUNKS
        expecting = head("POST /tokenize HTTP/1.1", length, "Expect: 100-continue") + BODY
        reply, closed = talk(self.server, plain + chunked + head("GET /health HTTP/1.1", length) +
                             BODY + expecting + plain)
        self.assertEqual(statuses(reply), [200] * 5, reply)
        self.assertFalse(closed)
        self.assertEqual(reply.count(b'"tokens"'), 4)
        self.assertIn(b"100 Continue", reply)
        reply, closed = talk(self.server, head("GET /health HTTP/1.1", "Connection: close"))
        self.assertTrue(closed)
        reply, closed = talk(self.server, b"GET /health HTTP/1.0\r\n\r\n")
        self.assertEqual((statuses(reply), closed), ([200], True))

    def test_methods(self):
        for line, status, allow in (("HEAD /health", 200, None), ("PUT /health", 405, "GET, HEAD"),
                                    ("OPTIONS /health", 204, None), ("DELETE /", 405, "GET, HEAD"),
                                    ("HEAD /tokenize", 405, "POST"), ("get /health", 405,
                                                                      "GET, HEAD"),
                                    ("TRACE /runs", 405, "GET, HEAD"), ("GET /nothing", 404, None)):
            reply, _ = talk(self.server, head(line + " HTTP/1.1", "Connection: close"))
            self.assertEqual(statuses(reply), [status], line)
            found = re.search(rb"\r\nAllow: ([^\r]*)", reply)
            self.assertEqual(found and found[1].decode(), allow, line)
            if line.startswith("HEAD"):
                self.assertTrue(reply.endswith(b"\r\n\r\n"), reply)

    def test_targets(self):
        for target, status in (("/health?x=1", 200), ("http://localhost/health", 200),
                               ("http://localhost:99/health?a", 200), ("http://localhost", 200),
                               ("http://evil.example/health", 403),
                               ("http://localhost@evil.example/health", 403),
                               ("/%68ealth", 404), ("/v1/../health", 404), ("//health", 404),
                               ("/health%00", 404), ("/health#x", 404), ("*", 404),
                               ("/" + "a" * 20000, 404), ("/" + "a" * 80000, 414)):
            self.assertEqual(self.status(f"GET {target} HTTP/1.1"), status, target[:60])

    def test_names_of_hosts(self):
        good = ("localhost", "LocalHost:1", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:80",
                "a.localhost:80")
        bad = ("[::1].evil.example", "[::1]evil", "[::2]", "localhost.evil.example", "127.evil",
               "127.0.0.1.evil.example", "localhost:80:80", "localhost:evil", "x@localhost",
               "0.0.0.0", "128.0.0.1", "127...", "[::1", "")
        for names, status in ((good, 200), (bad, 403)):
            for name in names:
                self.assertEqual(self.status("GET /health HTTP/1.1", host=name), status, name)
        with Server("--allow-host", "box.lan", "--allow-host", "[fd00::1]",
                    models=(QWEN,)) as server:
            for name, status in (("BOX.lan", 200), ("box.lan:80", 200), ("[fd00::1]:7860", 200),
                                 ("xbox.lan", 403), ("[fd00::2]", 403)):
                self.assertEqual(self.status("GET /health HTTP/1.1", server, host=name), status,
                                 name)

    def test_a_preflight_allows_what_openais_client_sends(self):
        response, _ = self.server.request("OPTIONS", "/v1/chat/completions", headers={
            "Origin": "https://page.example", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang"})
        self.assertEqual(response.status, 204)
        self.assertEqual(response.headers["Access-Control-Allow-Origin"], "https://page.example")
        # "*" stands for every header but Authorization.
        self.assertEqual(response.headers["Access-Control-Allow-Headers"], "Authorization, *")
        self.assertIn("X-Request-Id", response.headers["Access-Control-Expose-Headers"])
        for origin in ("https://page.example.evil", "http://page.example", "null"):
            self.assertEqual(self.server.request("OPTIONS", "/health", headers={
                "Origin": origin})[0].status, 403, origin)

    def test_a_refusal_may_quote_anything(self):
        reply = self.server.json("POST", "/tokenize", {"é" * 60: 1}, 400)["error"]
        self.assertTrue(reply["param"].startswith("ééé"))
        reply, _ = talk(self.server, b"GET /\xff HTTP/1.0\r\nHost: localhost\r\n\r\n")
        self.assertIn("/\ufffd", json.loads(reply.split(b"\r\n\r\n")[1])["error"]["message"])


class Log(unittest.TestCase):
    def test_every_refused_request_has_a_line_that_says_what_it_was(self):
        with Server("--receive-timeout", "1", models=(QWEN,)) as server:
            hostile = b'GET /a"}\\\x1b[31m\x07\xff\xe2\x80\xa8\xc2\x85 HTTP/1.1\r\nHost: localhost\r\n\r\n'
            cases = ((hostile, 404, "not_found"),
                     (b"G\xff\"T /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 405,
                      "method_not_allowed"),
                     (head("GET /health HTTP/1.1", *["A: " + "b" * 1000] * 90), 400,
                      "malformed_request"),
                     (head("POST /tokenize HTTP/1.1", "Content-Length: +14") + BODY, 400,
                      "malformed_request"),
                     (head("POST /tokenize HTTP/1.1", "Transfer-Encoding: chunked") + b"zz\r\n", 400,
                      "malformed_request"),
                     (b"GET /health HTTP/1.1\r\nHost: loc", 408, "timeout"),
                     (head("POST /tokenize HTTP/1.1", "Content-Length: 99") + b"{", 408, "timeout"))
            for data, _, _ in cases:
                connection = raw(server, data)
                try:
                    while connection.recv(65536) and not data.startswith(b"G\xff") \
                            and data != hostile:
                        pass
                except ConnectionResetError:
                    pass
                connection.close()
            self.assertTrue(wait_until(lambda: len(server.lines()) == 1 + len(cases)))
            lines = [x for x in server.lines() if "id" in x] # in the order in which they ended
            self.assertEqual(sorted((x["status"], x["code"]) for x in lines),
                             sorted((status, code) for _, status, code in cases))
            self.assertIn('/a"}\\\x1b[31m\x07\ufffd\u2028\x85', [x["path"] for x in lines])
            self.assertIn('G\ufffd"T', [x["method"] for x in lines])
            # One line each, whatever a reader takes for the end of a line or a colour.
            text = server.log.read_text()
            self.assertEqual(len(text.splitlines()), text.count("\n"))
            self.assertFalse(re.search("[\x00-\x09\x0b-\x1f\x7f]", text))
            self.assertFalse(re.search(r"\.\d{12}", text), "numbers that nobody can read")


main()
