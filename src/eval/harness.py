"""Runs generated code on test inputs and reports what came back.

This program runs inside the sandbox, started by the graders of code. It gets the code and the
inputs, never the expected results: those are compared outside, so there is nothing in here that
the code under test could gain by tampering with it. One line of JSON is reported per case.
"""
import ast
import io
import json
import os
import sys

MAX_NODES = 200000  # values in one result
MAX_ATTEMPTS = 200  # lines dropped while looking for code in prose


def encode(value, budget):
    """A value with its type, as nested lists; other types by name only."""
    budget[0] -= 1
    if budget[0] < 0:
        return ["other", "a result that is too large"]
    kind = type(value)
    if value is None:
        return ["none"]
    if kind is bool:
        return ["bool", bool(value)]
    if isinstance(value, int):
        return ["int", int.__repr__(value)]
    if isinstance(value, float):
        return ["float", float.__repr__(value)]
    if isinstance(value, str):
        return ["str", str.__str__(value)]
    if isinstance(value, (bytes, bytearray)):
        return ["bytes", bytes(value).hex()]
    for base, name in ((list, "list"), (tuple, "tuple"), (set, "set"), (frozenset, "set")):
        if isinstance(value, base):
            return [name, [encode(v, budget) for v in base.__iter__(value)]]
    if isinstance(value, dict):
        return ["dict", [[encode(k, budget), encode(v, budget)] for k, v in dict.items(value)]]
    return ["other", kind.__name__]


def decode(value):
    """JSON -> Python, with {"$tuple": [...]}, {"$set": [...]} and {"$dict": [[k, v], ...]}."""
    if isinstance(value, list):
        return [decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "$tuple" in value:
        return tuple(decode(v) for v in value["$tuple"])
    if "$set" in value:
        return set(decode(v) for v in value["$set"])
    if "$dict" in value:
        return {decode(k): decode(v) for k, v in value["$dict"]}
    return {k: decode(v) for k, v in value.items()}


def parses(text):
    try:
        ast.parse(text)
        return True
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def find_code(text):
    """The code in a text without code blocks: all of it, or from the first line that begins
    like code to the last one with which it still parses."""
    if parses(text):
        return text
    lines = text.splitlines()
    starts = ("def ", "class ", "import ", "from ", "@", "async def ")
    first = next((i for i, line in enumerate(lines) if line.startswith(starts)), None)
    if first is None:
        return None
    last = len(lines)
    for _ in range(MAX_ATTEMPTS):
        if last <= first:
            return None
        code = "\n".join(lines[first:last])
        if parses(code):
            return code
        last -= 1
    return None


def called_names(node):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def main_function(trees):
    """The function that was asked for, where no name was given: the last one that no other one
    uses."""
    functions = [n for tree in trees for n in tree.body
                 if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
                 and n.name != "main" and not n.name.startswith("test")]
    for candidate in reversed(functions):
        others = [f for f in functions if f.name != candidate.name]
        if not any(candidate.name in called_names(f) for f in others):
            return candidate.name
    return functions[-1].name if functions else None


def load(blocks, fenced):
    """Runs the code's blocks in one module. Returns its namespace, its trees and the first
    error."""
    namespace = {"__name__": "answer", "__builtins__": __builtins__}
    trees, error = [], None
    for block in blocks:
        code = block if fenced else find_code(block)
        if code is None:
            error = error or "no Python code found"
            continue
        try:
            tree = ast.parse(code)
            trees.append(tree)
            exec(compile(tree, "<answer>", "exec"), namespace)
        except BaseException as problem:
            error = error or describe(problem)
    return namespace, trees, error


def describe(problem):
    return "%s: %s" % (type(problem).__name__, str(problem)[:200])


def run_case(case, namespace, entry):
    if "run" in case:
        exec(case["run"], namespace)
    if "eval" in case:
        return {"value": encode(eval(case["eval"], namespace), [MAX_NODES])}
    args = [decode(a) for a in case.get("args", [])]
    value = namespace[entry](*args, **decode(case.get("kwargs", {})))
    return {"value": encode(value, [MAX_NODES]),
            "args_after": encode(args, [MAX_NODES])}


def python_cases(request, report):
    sys.stdin = io.StringIO("")
    namespace, trees, error = load(request["blocks"], request["fenced"])
    entry = request.get("entry") or main_function(trees)
    needs_entry = any("eval" not in case for case in request["cases"])
    if needs_entry and not callable(namespace.get(entry)):
        wanted = "a function %s" % request["entry"] if request.get("entry") else "a function"
        report({"missing": wanted, "error": error})
        return
    report({"entry": entry})
    for case in request["cases"]:
        try:
            report(run_case(case, namespace, entry))
        except BaseException as problem:
            names = [c.__name__ for c in type(problem).__mro__]
            report({"raised": names, "error": describe(problem)})


def sql_cases(request, report):
    try:
        import sqlite3
    except ImportError:
        report({"unavailable": "Python has no sqlite3"})
        return
    report({"entry": "query"})
    for case in request["cases"]:
        try:
            connection = sqlite3.connect(":memory:")
            connection.executescript(case["setup"])
            rows = None
            for statement in split_sql(sqlite3, request["blocks"][-1]):
                cursor = connection.execute(statement)
                if cursor.description is not None:
                    rows = cursor.fetchmany(10000)
            report({"value": encode(rows, [MAX_NODES])})
        except Exception as problem:
            report({"raised": [type(problem).__name__], "error": describe(problem)})


def split_sql(sqlite3, text):
    """Statements, of which the last need not end in a semicolon."""
    statement = ""
    for piece in text.split(";"):
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            if statement.strip(" \t\r\n;"):
                yield statement
            statement = ""
    if statement.strip(" \t\r\n;"):
        yield statement


def main():
    sys.setrecursionlimit(5000)
    request = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    channel = os.dup(1)
    silence = os.open("/dev/null", os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    write, dumps, nonce = os.write, json.dumps, request["nonce"]

    def report(result):
        line = (nonce + dumps(result) + "\n").encode("utf-8", "replace")
        while line:
            line = line[write(channel, line):]

    {"python": python_cases, "sql": sql_cases}[request["mode"]](request, report)
    os._exit(0)


main()
