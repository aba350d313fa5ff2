#!/usr/bin/env python3
"""tandem serve: streams bring what answers as a whole bring, however texts are divided into tokens:
characters of several tokens, stop strings across tokens, several choices, logprobs."""
import unittest

from serve_client import LONG, PHI, QWEN, Server, answer, main, post, raw, wait_until

WORD = "你好 😀é"
SPOKEN = {"response_format": {"type": "json_schema",
                              "json_schema": {"name": "x", "schema": {"const": WORD}}}}


def collect(chunks, n=1):
    """Text, logprobs and finish_reason of each choice of a chat's stream."""
    texts, logprobs, finishes = [""] * n, [[] for _ in range(n)], [None] * n
    for chunk in chunks:
        for choice in chunk["choices"]:
            i = choice["index"]
            if finishes[i]:
                raise AssertionError("something follows the end of a choice")
            texts[i] += choice["delta"].get("content") or ""
            logprobs[i] += (choice["logprobs"] or {"content": []})["content"]
            finishes[i] = choice["finish_reason"]
    return texts, logprobs, finishes


class Streams(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0, cls.server.errors

    def both(self, n=1, **fields):
        """The stream of a chat, which brings what the whole answer has, and its chunks."""
        fields = {"seed": 5, "temperature": 1, "n": n, "logprobs": True, "top_logprobs": 1} | fields
        whole = self.server.chat(**fields)
        chunks = self.server.stream(**fields)
        texts, logprobs, finishes = collect(chunks, n)
        self.assertEqual(texts, [c["message"]["content"] for c in whole["choices"]])
        self.assertEqual(logprobs, [c["logprobs"]["content"] for c in whole["choices"]])
        self.assertEqual(finishes, [c["finish_reason"] for c in whole["choices"]])
        self.assertEqual(sum(map(len, logprobs)), whole["usage"]["completion_tokens"])
        return texts, logprobs, finishes, chunks

    def test_characters_of_several_tokens_come_whole(self):
        for model in (QWEN, PHI):
            [text], [logprobs], _, chunks = self.both(model=model, max_tokens=100, **SPOKEN)
            self.assertEqual(text, f'"{WORD}"')
            self.assertGreater(len(logprobs), len(text), "a token for each character")
            self.assertEqual(b"".join(bytes(e["bytes"]) for e in logprobs).decode(), text)
            for chunk in chunks:
                self.assertNotIn("\ufffd", chunk["choices"][0]["delta"].get("content") or "")

    def test_a_character_that_is_cut_is_cut_in_the_same_way(self):
        for model in (QWEN, PHI):
            for max_tokens in range(1, 8):
                _, [logprobs], [finish], _ = self.both(model=model, max_tokens=max_tokens, **SPOKEN)
                self.assertEqual((len(logprobs), finish), (max_tokens, "length"))

    def test_stop_strings_across_tokens(self):
        fields = dict(model=QWEN, max_tokens=60, top_k=0, top_p=1, ignore_eos=True)
        [full], _, _, _ = self.both(**fields)
        for at, length in ((0, 1), (3, 2), (10, 5), (20, 9), (30, 16)):
            stop = full[at:at + length]
            [text], [logprobs], [finish], chunks = self.both(stop=[stop, "never"], **fields)
            self.assertEqual((text, finish), (full[:full.index(stop)], "stop"))
            self.assertGreaterEqual(len(logprobs), len(text) and 1)
            shown = ""
            for chunk in chunks: # nothing was sent that had to be taken back
                shown += chunk["choices"][0]["delta"].get("content") or ""
                self.assertTrue(text.startswith(shown))
        # The beginning of a stop string at the end of the answer is text after all.
        [text], _, [finish], _ = self.both(stop=full[40:] + "x", **fields)
        self.assertEqual((text, finish), (full, "length"))

    def test_choices_stop_each_for_itself(self):
        fields = dict(model=QWEN, max_tokens=40, top_k=0, top_p=1, ignore_eos=True)
        texts, _, _, _ = self.both(n=4, **fields)
        stop = texts[2][10:13]
        cut, _, finishes, _ = self.both(n=4, stop=stop, **fields)
        self.assertEqual(cut, [text.split(stop)[0] for text in texts])
        self.assertEqual(finishes, ["stop" if stop in text else "length" for text in texts])
        self.assertEqual(finishes[2], "stop")

    def test_completions_have_offsets_in_the_whole_text(self):
        fields = dict(model=QWEN, prompt=["the sea", "a ship"], n=2, logprobs=2, max_tokens=30,
                      seed=3, temperature=1, top_k=0, top_p=1, ignore_eos=True)
        whole = self.server.json("POST", "/v1/completions", fields)["choices"]
        streamed = [{"text": "", "logprobs": {"tokens": [], "text_offset": []}} for _ in whole]
        for chunk in self.server.stream("/v1/completions", **fields):
            [choice] = chunk["choices"]
            mine = streamed[choice["index"]]
            mine["text"] += choice["text"]
            for name, values in mine["logprobs"].items():
                values += (choice["logprobs"] or {name: []})[name]
        for one, other in zip(whole, streamed):
            self.assertEqual(one["text"], other["text"])
            for name, values in other["logprobs"].items():
                self.assertEqual(one["logprobs"][name], values)

    def test_a_seed_gives_the_same_answer_beside_others(self):
        alone = {seed: answer(self.server, seed=seed, max_tokens=200) for seed in range(4)}
        busy = [raw(self.server, post({**LONG, "n": 3, "seed": i})) for i in range(4)]
        self.assertTrue(wait_until(
            lambda: self.server.metric("tandem_requests_running", model=QWEN) >= 12))
        for seed, text in alone.items():
            self.assertEqual(answer(self.server, seed=seed, max_tokens=200), text)
        self.assertGreaterEqual(self.server.metric("tandem_requests_running", model=QWEN), 8)
        for connection in busy:
            connection.close()


main()
