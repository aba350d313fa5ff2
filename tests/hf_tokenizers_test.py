#!/usr/bin/env python3
"""The bundled models' tokenizer.json files as @huggingface/tokenizers (npm) reads them: the same
ids as ours for 1,000 random texts each. Their chat templates as Jinja2 renders them."""
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(os.environ["TANDEM_SOURCE"])
PROGRAM = os.environ["TANDEM_PROGRAM"]
JS = SOURCE / "tests" / "js"
MODELS = [SOURCE / "models" / name for name in ("tandem-qwen-tiny", "tandem-phi-tiny")]
SKIPPED = 77


def random_text(rng, specials):
    """Words, numbers, code, Chinese, spaces, special tokens, any characters at all."""
    pieces = []
    for _ in range(rng.randint(1, 12)):
        pieces.append(rng.choice([
            lambda: rng.choice("apple List numbers 把 苹果 写 三遍 哈尔滨 return def x y".split()),
            lambda: str(rng.randint(0, 10 ** rng.randint(1, 8))),
            lambda: "".join(rng.choice("abcXYZ019_-+*/=(){}[]\"'<>|\\.,;:!?") for _ in range(6)),
            lambda: "".join(chr(rng.choice([rng.randint(32, 126), rng.randint(0xA1, 0x24F),
                                            rng.randint(0x4E00, 0x9FA5),
                                            rng.randint(0x1F300, 0x1F64F)])) for _ in range(4)),
            lambda: rng.choice([" ", "  ", "\n", "\n\n", "\t", " \n ", "   "]),
            lambda: rng.choice(specials)])())
        pieces.append(rng.choice(["", " ", ""]))
    return "".join(pieces)


def run(command, lines):
    done = subprocess.run(command, input="".join(json.dumps(line) + "\n" for line in lines),
                          capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_ids(model):
    rng = random.Random(f"texts for {model.name}")
    tokenizer = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    specials = [t["content"] for t in tokenizer["added_tokens"]]
    texts = [{"text": random_text(rng, specials)} for _ in range(1000)]
    theirs = run(["node", JS / "tokenizers.mjs", model], texts)
    ours = run([PROGRAM, "tokenize", model], texts)
    assert len(ours) == len(theirs) == len(texts)
    for text, a, b in zip(texts, ours, theirs):
        assert a["ids"] == b["ids"], (model.name, text, a, b)


def conversations(rng):
    texts = ["Hi", "写三个水果", "a\nb", "  spaces  ", "<b>\"quoted\"</b>", "1 + 1 = ?"]
    for turns in range(1, 30):
        messages = [{"role": "system", "content": rng.choice(texts)}] if turns % 3 == 0 else []
        for i in range(turns % 5 + 1):
            messages.append({"role": ("user", "assistant")[i % 2], "content": rng.choice(texts)})
        yield {"messages": messages, "add_generation_prompt": messages[-1]["role"] == "user"}


def conversations_with_tools(rng):
    """Functions, calls of them (with text beside and without), and what they gave."""
    tools = [{"type": "function", "function": {"name": name, "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "enum": ["Oslo", "罗马"]}}}}}
        for name in ("weather_now", "time")]
    for plain in conversations(rng):
        calls = [{"type": "function", "id": "1", "function": {
            "name": tool["function"]["name"], "arguments": {"city": "罗马 <\"'>", "n": [1, None]}}}
            for tool in rng.sample(tools, rng.randint(1, 2))]
        yield {"tools": tools, "add_generation_prompt": True, "messages": plain["messages"] + [
            {"role": "assistant", "content": rng.choice(["", "wait"]), "tool_calls": calls},
            {"role": "tool", "tool_call_id": "1", "content": "sunny"}]}


def check_template(model):
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    config = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(config["chat_template"])
    special = {k: config[k] for k in ("bos_token", "eos_token") if config.get(k)}
    contexts = list(conversations(random.Random(5)))
    if "tool_call" in config["chat_template"]:
        contexts += conversations_with_tools(random.Random(6))
    ours = run([PROGRAM, "template", model], contexts)
    for context, result in zip(contexts, ours):
        assert result.get("rendered") == template.render(**special, **context), (context, result)


def main():
    for model in MODELS:
        check_template(model)
    if not shutil.which("node") or not (JS / "node_modules").is_dir():
        print("skipped: node, or the packages of tests/js (npm ci --prefix tests/js), not here")
        sys.exit(SKIPPED)
    for model in MODELS:
        check_ids(model)


main()
