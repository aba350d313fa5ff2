#!/usr/bin/env python3
"""tandem run and tandem generate as users meet them: arguments, pipes, and a terminal (a pty)."""
import json
import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.environ["TANDEM_PROGRAM"]
SHARED = pathlib.Path(os.environ.get("TANDEM_SHARED", "../shared"))
MAKER = os.environ["TANDEM_MAKE_MODELS"]
FOLDER = tempfile.TemporaryDirectory(prefix="tandem-run-test-")
MODELS = pathlib.Path(FOLDER.name)
QWEN = str(MODELS / "tandem-random-qwen2")
PHI = str(MODELS / "tandem-random-phi3")
SLOW = float(os.environ.get("TANDEM_TEST_SLOWNESS", "1"))


def tandem(*args, stdin=b"", status=0):
    if args[0] in ("run", "generate") and "--threads" not in args:
        args = (*args, "--threads", "1")  # tests run beside each other
    done = subprocess.run([PROGRAM, *args], input=stdin, capture_output=True, timeout=120 * SLOW)
    assert done.returncode == status, (args, done.returncode, done.stderr.decode())
    return done


class Terminal:
    """The program on a pseudo-terminal of its own."""

    def __init__(self, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", HOME=FOLDER.name, LC_ALL="C.UTF-8")
            os.environ.pop("XDG_STATE_HOME", None)
            # libedit never frees the names of added functions.
            os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
            os.execv(PROGRAM, [PROGRAM, *args])
        self.seen = b""

    def read_some(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other side has gone
            return False
        self.seen += data
        return bool(data)

    def wait_for(self, text, seconds=30):
        """Everything up to and with `text`; what follows stays for later."""
        text = text.encode()
        end = time.monotonic() + seconds * SLOW
        while text not in self.seen:
            if time.monotonic() > end or not self.read_some(1) and self.has_ended():
                raise AssertionError(f"expected {text!r}, saw {self.seen!r}")
        before, self.seen = self.seen.split(text, 1)
        return before

    def has_ended(self):
        return not select.select([self.fd], [], [], 0)[0] and os.waitid(
            os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def type(self, text):
        os.write(self.fd, text.encode())

    def press(self, keys):
        """Types at the prompt; it shows a moment before the terminal stops echoing."""
        self.wait_for("> ")
        time.sleep(0.1)
        self.type(keys)

    def say(self, line):
        self.press(line + "\n")

    def exit_status(self, seconds=30):
        end = time.monotonic() + seconds * SLOW
        while time.monotonic() < end:
            self.read_some(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"still running, saw {self.seen!r}")


class Generate(unittest.TestCase):
    def test_greedy_ids_equal_the_oracles(self):
        folders = sorted(SHARED.glob("golden/*/golden.json"))
        if not folders:
            self.skipTest("the golden checkpoints are absent")
        for path in folders:
            golden = json.loads(path.read_text())
            done = tandem("generate", str(path.parent), "--ids", ",".join(map(str, golden["ids"])),
                          "--max-tokens", str(len(golden["greedy"])))
            self.assertEqual(json.loads(done.stdout), {"ids": golden["greedy"]}, path.parent.name)

    def test_sampling_is_repeatable(self):
        args = ["generate", QWEN, "--ids", "5,6,7", "-n", "30", "--temperature", "2"]
        first = tandem(*args, "--seed", "1").stdout
        self.assertEqual(first, tandem(*args, "--seed", "1", "--threads", "2").stdout)
        self.assertNotEqual(first, tandem(*args, "--seed", "2").stdout)

    def test_guesses_change_nothing(self):
        for draft in (QWEN, None):
            for sampling in ([], ["--temperature", "1.2", "--seed", "5", "--repetition-penalty", "1.1"]):
                args = ["generate", QWEN, "--ids", "5,6,7,5,6", "-n", "40", *sampling]
                plain = tandem(*args, "--speculate", "off").stdout
                more = ["--draft", draft] if draft else []
                for when in ("auto", "always"):
                    self.assertEqual(plain, tandem(*args, "--speculate", when, *more).stdout)

    def test_a_draft_of_another_vocabulary_is_refused(self):
        for command in (["run", QWEN, "hi"], ["generate", QWEN, "--ids", "1"], ["serve", QWEN]):
            error = tandem(*command, "--draft", PHI, status=1).stderr.decode()
            self.assertIn("whose vocabulary is another one: token 0 is", error)
        self.assertIn("no file or folder /nowhere",
                      tandem("run", QWEN, "hi", "--draft", "/nowhere", status=1).stderr.decode())

    def test_wrong_calls_say_what_to_type(self):
        for args, text in ((["generate", QWEN], "--ids is missing"),
                           (["generate", QWEN, "--ids", "1,x"], "whole numbers"),
                           (["generate", QWEN, "--ids", "1", "--kv-type", "q4"], "f16, f32 or q8_0"),
                           (["run", "-p", "a", QWEN, "b"], "--prompt and PROMPT"),
                           (["run", QWEN, "hi", "--logprobs", "3"], "needs --json"),
                           (["run", QWEN, "hi", "there"], "too many"),
                           (["run", QWEN, "hi", "--top-p", "3"], "top_p"),
                           (["generate", QWEN, "--ids", "1", "--temperature", "-1"], "temperature"),
                           (["bench", QWEN, "-p", "0", "-n", "0"], "nothing to measure"),
                           (["compare", QWEN], "MODEL_B is missing"),
                           (["run", QWEN, "hi", "--raw", "--system", "x"], "--raw")):
            self.assertIn(text, tandem(*args, status=2).stderr.decode())
        self.assertIn("99999", tandem("generate", QWEN, "--ids", "99999", status=1).stderr.decode())
        for command in (["run"], ["bench"], ["inspect"], ["tokenize"]):
            self.assertIn("no file or folder /nowhere",
                          tandem(*command, "/nowhere", status=1).stderr.decode())


class Pipes(unittest.TestCase):
    def test_argument_and_stdin_are_the_same_prompt(self):
        for model in (QWEN, PHI):
            args = ["--max-tokens", "20", "--greedy"]
            by_argument = tandem("run", model, "你好 there", *args).stdout
            self.assertEqual(by_argument,
                             tandem("run", model, *args, stdin="你好 there\n".encode()).stdout)
            self.assertEqual(by_argument,
                             tandem("run", model, "-", *args, stdin="你好 there".encode()).stdout)
            by_argument.decode("utf-8")

    def test_json_holds_text_usage_and_timings(self):
        done = tandem("run", QWEN, "hello", "--json", "--max-tokens", "8", "--ignore-eos",
                      "--logprobs", "2", "--seed", "3")
        result = json.loads(done.stdout)
        self.assertEqual(result["usage"]["answer_tokens"], 8)
        self.assertEqual(len(result["ids"]), 8)
        self.assertEqual(result["finish"], "length")
        self.assertEqual([len(t["top"]) for t in result["logprobs"]], [2] * 8)
        self.assertGreater(result["timings"]["first_token_seconds"], 0)
        plain = tandem("run", QWEN, "hello", "--max-tokens", "8", "--ignore-eos", "--seed", "3")
        self.assertEqual(plain.stdout.decode().rstrip("\n"), result["text"].rstrip("\n"))

    def test_stop_strings_and_stats(self):
        args = ["run", QWEN, "hello", "--max-tokens", "60", "--ignore-eos", "--seed", "5",
                "--temperature", "2"]
        text = tandem(*args).stdout.decode()
        stop = text[20:22]
        done = tandem(*args, "--stop", stop, "--stats")
        self.assertEqual(done.stdout.decode().rstrip("\n"), text[:text.index(stop)].rstrip("\n"))
        self.assertRegex(done.stderr.decode(), r"prompt: \d+ tokens .* first token after .* stop")

    def test_raw_and_system_change_the_prompt(self):
        args = ["--json", "--max-tokens", "1", "--greedy"]
        answers = [tandem("run", QWEN, "hi", *args, *more).stdout
                   for more in ([], ["--raw"], ["--system", "Be brief."])]
        sizes = [json.loads(answer)["usage"]["prompt_tokens"] for answer in answers]
        self.assertLess(sizes[1], sizes[0])
        self.assertGreater(sizes[2], sizes[0])

    def test_a_prompt_that_does_not_fit_is_refused_with_numbers(self):
        done = tandem("run", QWEN, "--context", "64", stdin=b"x" * 500, status=1)
        self.assertRegex(done.stderr.decode(), r"the prompt has \d+ tokens; at most 63 fit")
        self.assertIn("NUL", tandem("run", QWEN, stdin=b"a\0b", status=1).stderr.decode())

    def test_an_answer_cannot_steer_the_terminal(self):
        args = ["run", QWEN, "hi", "-n", "400", "--temperature", "8", "--ignore-eos", "--seed", "1",
                "--top-k", "0"]
        raw = tandem(*args).stdout
        self.assertIsNotNone(re.search(rb"[\x00-\x08\x0b-\x1f]", raw), "no control characters")
        terminal = Terminal(*args)
        self.assertEqual(terminal.exit_status(), 0)
        shown = terminal.seen.replace(b"\r\n", b"\n")
        self.assertIsNone(re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", shown))
        self.assertIn("\u241b".encode() if b"\x1b" in raw else b"\xe2\x90", shown)


class Constraints(unittest.TestCase):
    SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9,
                                                     "minimum": 0}},
              "required": ["n"], "additionalProperties": False}

    def schema_file(self, schema):
        path = MODELS / "schema.json"
        path.write_text(json.dumps(schema))
        return str(path)

    def test_answers_keep_to_the_schema(self):
        path = self.schema_file(self.SCHEMA)
        for model in (QWEN, PHI):
            for options in (["--greedy"], ["--temperature", "1.5", "--seed", "3"]):
                done = tandem("run", model, "Hello", "--json-schema", path, "--max-tokens", "200",
                              *options)
                self.assertIn(json.loads(done.stdout)["n"], range(10))

    def test_answers_match_the_expression(self):
        done = tandem("run", QWEN, "Hello", "--regex", "(yes|no)!{2}", "--json")
        result = json.loads(done.stdout)
        self.assertRegex(result["text"], "^(yes|no)!!$")
        self.assertEqual(result["finish"], "eos")
        ids = tandem("generate", QWEN, "--ids", "5,6", "--regex", "a{3}", "--max-tokens", "9")
        self.assertTrue(1 <= len(json.loads(ids.stdout)["ids"]) <= 3)

    def test_what_cannot_be_honoured_is_refused(self):
        for args, status, text in [
                (["--regex", "("], 2, "at byte 0"),
                (["--regex", "a", "--json-schema", "x"], 2, "exclude each other"),
                (["--json-schema", "/nowhere.json"], 1, "/nowhere.json")]:
            done = tandem("run", QWEN, "Hello", *args, status=status)
            self.assertIn(text, done.stderr.decode())
        for schema, text in [({"not": {}}, "nothing is permitted"),
                             ({"uniqueItems": True}, '#: "uniqueItems"')]:
            done = tandem("run", QWEN, "Hello", "--json-schema", self.schema_file(schema), status=1)
            self.assertIn(text, done.stderr.decode())


class Chat(unittest.TestCase):
    ARGS = ("--max-tokens", "12", "--seed", "1", "--ignore-eos")

    def open(self, *args, model=QWEN):
        return Terminal("run", model, "--threads", "1", *args)

    def test_a_conversation_with_commands(self):
        t = self.open("--max-tokens", "12", "--seed", "1", "--system", "Be brief.")
        t.wait_for("Ctrl-D to leave.")
        t.say("/help")
        t.wait_for("/regen")
        t.say("hello 你好")
        t.say("/stats")
        t.wait_for("ended by: ")
        t.say('"""first line')
        t.wait_for(". ")
        t.type('second line"""\n')
        t.say("/regen")
        t.say("/set temperature 0.5")
        t.say("/set")
        self.assertIn(b"temperature         0.5", t.wait_for("max-tokens"))
        t.say("/set top-p 9")
        t.wait_for("top_p")
        t.say("/nonsense")
        t.wait_for("/help lists them")
        saved = MODELS / "saved.json"
        t.say(f"/save {saved}")
        t.wait_for("saved")
        t.say("/quit")
        self.assertEqual(t.exit_status(), 0)
        messages = json.loads(saved.read_text())
        self.assertEqual(messages[0], {"role": "system", "content": "Be brief."})
        users = [m["content"] for m in messages if m["role"] == "user"]
        self.assertIn("hello 你好", users)
        self.assertIn("first line\nsecond line", users)
        history = (MODELS / ".local/state/tandem/history")
        self.assertIn("temperature", history.read_text())
        self.assertEqual(history.stat().st_mode & 0o077, 0)

    def test_ctrl_c_stops_the_answer_and_not_the_program(self):
        t = self.open("--max-tokens", "3900", "--seed", "1", "--greedy", "--stats")
        t.say("tell me everything")
        t.wait_for("everything\r\n")
        while len(t.seen) < 100:
            self.assertTrue(t.read_some(30))
        t.type("\x03")
        t.wait_for("(stopped)")
        t.wait_for("cancelled")
        t.say("/reset")
        t.wait_for("(a new conversation)")
        t.press("\x04")
        self.assertEqual(t.exit_status(), 0)

    def test_ctrl_c_at_the_prompt(self):
        t = self.open(*self.ARGS)
        t.press("unfinished")
        t.wait_for("unfinished")
        t.type("\x03")
        t.press("\x03")
        t.wait_for("Ctrl-C again")
        t.press("\x03")
        self.assertEqual(t.exit_status(), 0)


def main():
    subprocess.run([MAKER, FOLDER.name], check=True, stdout=subprocess.DEVNULL)
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]])


main()
