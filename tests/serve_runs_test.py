#!/usr/bin/env python3
"""The store of runs that tandem serve shows: what is listed, and that nothing else is to be had."""
import json
import os
import pathlib
import tempfile
import unittest
from serve_client import Server, main


def report(name_a="qwen", name_b="phi", **fields):
    score = {"score": 8.5, "interval": [6.0, 9.5], "right": 17, "n": 20}
    return {"schema": "tandem-report", "version": 1, "started": "2026-11-23T17:40:00Z",
            "partial": False, "suite": {"name": "starter", "items": 20},
            "models": {"a": {"name": name_a}, "b": {"name": name_b}},
            "all": {"a": score, "b": {**score, "score": 5.0}}, **fields}


class RunsTest(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.place.name)
        self.store = self.root / "out"
        self.store.mkdir()
        (self.root / "secret").mkdir()
        (self.root / "secret/report.json").write_text(json.dumps(report("secret")))
        (self.root / "secret/report.html").write_text("secret")

    def tearDown(self):
        self.place.cleanup()

    def add(self, folder, document, when=0):
        path = self.store / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / "report.json").write_text(
            document if isinstance(document, str) else json.dumps(document))
        (path / "report.html").write_text("<!doctype html><script>1</script>" + folder)
        os.utime(path / "report.json", (when, when))

    def serve(self, *args):
        return Server("--runs", str(self.store), *args)

    def runs(self, server):
        return server.json("GET", "/runs")["runs"]

    def test_runs_are_listed_the_latest_first_and_read_at_the_time(self):
        self.add("demo", report(), 100)
        with self.serve() as server:
            self.assertEqual([r["folder"] for r in self.runs(server)], ["demo"])
            self.add("deep/er", report("x", "y", partial=True), 200)
            self.add(".", report("top", "z"), 50)
            found = self.runs(server)
            self.assertEqual([r["folder"] for r in found], ["deep/er", "demo", ""])
            demo = found[1]
            self.assertEqual((demo["suite"], demo["items"], demo["partial"]), ("starter", 20, False))
            self.assertEqual(demo["a"], {"name": "qwen", "score": 8.5, "interval": [6.0, 9.5],
                                         "right": 17, "n": 20})
            for run in found:
                self.assertRegex(run["id"], "^[0-9a-f]{16}$")
                self.assertEqual(server.json("GET", f"/runs/{run['id']}/report.json")["models"]["a"],
                                 {"name": run["a"]["name"]})

    def test_a_report_is_a_page_of_its_own_that_may_do_nothing(self):
        self.add("demo", report())
        with self.serve() as server:
            run = self.runs(server)[0]["id"]
            response, text = server.request("GET", f"/runs/{run}/report.html")
            self.assertTrue(text.endswith(b"demo"))
            self.assertIn("text/html", response.headers["Content-Type"])
            policy = response.headers["Content-Security-Policy"]
            self.assertIn("sandbox", policy)
            self.assertNotIn("allow-same-origin", policy)
            self.assertIn("default-src 'none'", policy)

    def test_paths_lead_nowhere_else(self):
        self.add("demo", report())
        (self.store / "demo/answers.jsonl").write_text("{}")
        with self.serve() as server:
            run = self.runs(server)[0]["id"]
            for path in ("/runs/", f"/runs/{run}", f"/runs/{run}/", f"/runs/{run}/answers.jsonl",
                         f"/runs/{run}/../demo/report.json", f"/runs/{run}//report.json",
                         f"/runs/{run}/%2e%2e/report.json", f"/runs/{run}/report.json/",
                         f"/runs/{run}/report.json%00", f"/runs/{run[:8]}/report.json",
                         "/runs/demo/report.json", "/runs/../secret/report.json",
                         "/runs/%2e%2e/secret/report.json", "/runs/..%2fsecret/report.html",
                         "/runs/0000000000000000/report.json", "/runsx", "/runs.json",
                         "/runs//etc/passwd", "/runs/" + "../" * 30 + "etc/passwd"):
                response, text = server.request("GET", path)
                self.assertIn(response.status, (400, 404, 414), path)
                self.assertNotIn(b"secret", text)
            self.assertEqual(server.request("POST", "/runs", {})[0].status, 405)

    def test_links_are_not_followed(self):
        self.add("demo", report())
        (self.store / "linked").symlink_to(self.root / "secret")
        (self.store / "half").mkdir()
        (self.store / "half/report.json").symlink_to(self.root / "secret/report.json")
        (self.store / "pipe").mkdir()
        os.mkfifo(self.store / "pipe/report.json")
        (self.store / "demo/report.html").unlink()
        (self.store / "demo/report.html").symlink_to(self.root / "secret/report.html")
        with self.serve() as server:
            runs = self.runs(server)
            self.assertEqual([r["folder"] for r in runs], ["demo"])
            server.json("GET", f"/runs/{runs[0]['id']}/report.html", status=404)

    def test_what_is_no_report_is_left_out(self):
        self.add("good", report())
        self.add("cut", '{"schema": "tandem-rep')
        self.add("other", {"schema": "something"})
        self.add("list", [1, 2])
        self.add("bare", {"schema": "tandem-report"})
        self.add("odd", {"schema": "tandem-report", "models": 3, "all": {"a": []}, "suite": "x"})
        self.add("a/b/c/too-deep", report())
        (self.store / "latin\udce9").mkdir()
        (self.store / "latin\udce9/report.json").write_text(json.dumps(report()))
        with self.serve() as server:
            runs = {r["folder"]: r for r in self.runs(server)}
            self.assertEqual(set(runs), {"good", "bare", "odd", "?"})
            self.assertIsNone(runs["bare"]["a"]["name"])
            server.json("GET", f"/runs/{runs['?']['id']}/report.json")

    def test_a_store_may_be_absent_or_vanish(self):
        with Server() as server:
            self.assertEqual(server.json("GET", "/runs"),
                             {"runs": [], "not_listed": 0, "has_store": False})
        self.add("demo", report())
        with self.serve() as server:
            run = self.runs(server)[0]["id"]
            os.rename(self.store, self.root / "moved")
            self.assertEqual(self.runs(server), [])
            server.json("GET", f"/runs/{run}/report.json", status=404)
        with self.assertRaisesRegex(AssertionError, "is not a folder"):
            Server("--runs", str(self.root / "none"))

    def test_runs_and_machine_need_the_key(self):
        self.add("demo", report())
        with Server("--runs", str(self.store), environment={"TANDEM_API_KEYS": "k"}) as server:
            for path in ("/runs", "/machine"):
                server.json("GET", path, status=401)
                server.json("GET", path, headers={"Authorization": "Bearer k"})

    def test_the_machine_is_described(self):
        with Server() as server:
            machine = server.json("GET", "/machine")
        self.assertEqual(machine["cpus"], len(os.sched_getaffinity(0)))
        self.assertGreater(machine["memory_bytes"], 1 << 20)


main()
