"""Expressions and templates rendered by Jinja2, set up as transformers does, and by tandem:
equal results, and errors where there are errors. Skips where jinja2 is not installed.

    TANDEM_PROGRAM=build/tandem tests/template_oracle_test.py [NUMBER_OF_RANDOM_CASES] [SEED]
"""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import warnings

try:
    import jinja2
    from jinja2 import nodes
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError:
    print("skipped: the Python module jinja2 is not installed")
    sys.exit(77)

warnings.filterwarnings("ignore", category=SyntaxWarning)
PROGRAM = os.environ["TANDEM_PROGRAM"]

CONTEXT = {
    "i": 7, "n": -3, "z": 0, "f": 2.5, "g": -0.125, "big": 1e22, "small": 1.5e-7, "t": True,
    "no": False, "nil": None, "s": "Hello World", "e": "", "u": "héllo 世界 😀ß", "sp": "  pad \n",
    "lines": "one\ntwo\r\nthree\n\nfive", "html": "<a href=\"x\">Tom & 'Jerry'</a>",
    "l": [3, 1, 2], "words": ["beta", "Alpha", "gamma", "alpha"], "el": [], "nested": [[1, 2], [3]],
    "mixed": [1, "a", None, True, 2.5, [1], {"k": "v"}], "ls": ["a", "b", "c"],
    "d": {"b": 1, "A": 2, "c": {"x": [1, {"y": "deep"}]}, "items": "own", "get": 5},
    "ed": {}, "users": [{"name": "Bob", "age": 30, "city": {"n": "Rome"}},
                        {"name": "alice", "age": 25, "city": {"n": "Paris"}},
                        {"name": "Carl", "age": 30, "city": {"n": "Rome"}}],
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
                 {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}],
}


class Generation(Extension):
    """transformers' {% generation %} in as much as it shows in the text."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_render", [])
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def make_environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"],
        optimized=False)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


ENV = make_environment()

# ---- cases written by hand; each is an expression ----

EXPRESSIONS = r"""
1 + 2 * 3 ~ 4
2 ** 3 ** 2
-2 ** 2
-i|abs
(-i)|abs
- f
+n
7 // 2, -7 // 2, 7 // -2, 7.5 // 2, -7.5 // 2
7 % 3, -7 % 3, 7 % -3, -7.5 % 2, 7.5 % -2
7 / 2, 6 / 2, 1 / 3
1 / 0
1 // 0
1 % 0
1.0 / 0
2 ** -1, 2 ** 0.5, 2.0 ** 3, 0 ** 0
0 ** -1
True + 1, True * 3, -True
"a" "b" 'c'
"a" + 1
1 + "a"
"ab" * 3, 3 * "ab", "ab" * -1, [1, 2] * 2, (1,) * 2
"x" * n
[1] + [2], (1,) + (2,)
[1] + (2,)
1 < 2 < 3, 1 < 3 < 2, 1 == 1.0, 1 == True, "1" == 1
1 < "a"
none < 1
[1, 2] < [1, 3], (1, 2) < (1,), "a" < "b", "Z" < "a", "é" > "z"
{"a": 1} == {"a": 1.0}, [1] == [1.0], [1] == (1,)
{"a": 1} < {"b": 1}
1 in [1, 2], 3 not in l, "ell" in s, "k" in {"k": 1}, 1 in d
1 in "a"
1 in 5
1 in none
x in [1]
1 in undefined_thing
not 1 in [2], not (1 in [1])
not t and no, not (t and no), t or no and no, no or nil, 0 or "", 1 and 2, "" and 1
t if no else nil, 1 if t, (1 if no), 1 if no else 2 if no else 3
"yes" if undefined_thing else "no"
undefined_thing
undefined_thing.x
undefined_thing[0]
undefined_thing()
undefined_thing + 1
undefined_thing ~ "x"
undefined_thing == undefined_thing, undefined_thing == 1, undefined_thing != none
undefined_thing < 1
-undefined_thing
undefined_thing|length, undefined_thing|list, undefined_thing|upper, undefined_thing|trim
undefined_thing|int
undefined_thing|float
undefined_thing|abs
undefined_thing|round
undefined_thing|tojson
undefined_thing|join(","), undefined_thing|first, undefined_thing|last, undefined_thing|sort
undefined_thing|items|list, undefined_thing|default("d"), undefined_thing|d
undefined_thing|dictsort
undefined_thing|map("upper")|list, undefined_thing|select|list, undefined_thing|batch(2)|list
undefined_thing|replace("a", "b"), undefined_thing|string, undefined_thing|e, undefined_thing|title
undefined_thing|sum, undefined_thing|min, undefined_thing|max, undefined_thing|unique|list
undefined_thing|reverse|list
undefined_thing|wordcount, undefined_thing|capitalize, undefined_thing|center(4)
undefined_thing|truncate
undefined_thing|indent
undefined_thing|urlencode
undefined_thing|format
undefined_thing[1:]
[undefined_thing], {"a": undefined_thing}
d.c.x[1].y, d["c"]["x"][0], d.nope, d.nope is defined, d["nope"]
d.nope.more
d.items, d["items"], d.items()|list, d.get("b"), d.get("q"), d.get("q", 4), d["get"]
d.keys()|list, d.values()|list, d.keys(), d.values(), {"a": 1}.items()
d.update({"a": 1})
d.pop("b")
d.update is defined, l.append is defined, d.copy() == d
l.append(1)
l.sort()
l.insert(0, 1)
l.index(1), l.count(3), (1, 2, 1).count(1), (1, 2).index(2)
l.index(9)
l.nope, l[0], l[-1], l[7], l["0"], l[-4], l[true]
l.0, nested.0.1, nested[0][1]
s[0], s[-1], s[100], u[1], u[6], u[-2], u[8]
s[2:5], s[:-1], s[::-1], s[::2], s[5:2], s[-3:], s[10:100], u[1:9:2], u[::-1], u[6:8], u[:3], u[-2:]
l[1:], l[::-1], l[:-1], l[-2:], (1, 2, 3)[1:], range(10)[2:8:3]|list, range(10)[::-1]|list, range(5)[1:3]
l[::0]
l["a":]
nil[1:]
ed[1:]
5[0], none["x"], none.x, (5).x, t.x
1.5.x
s.nope, s.upper is defined, s.nope is defined
s.upper(), s.lower(), s.title(), s.capitalize(), s.swapcase(), "ß".upper(), "ÉCOLE".lower(), "ΑΣ".lower()
"they're bill's friends from the UK".title(), "they're bill's"|title, "a-b (c) [d] {e} <f>"|title
sp.strip(), sp.lstrip(), sp.rstrip(), "xxhixx".strip("x"), "abcba".strip("ab"), "。你好。".strip("。")
" a  b c ".split(), "a,b,,c".split(","), "a,b,c".split(",", 1), " a b c ".split(none, 1), " a b c ".split(maxsplit=1)
" a b c ".rsplit(none, 1), "a,b,c".rsplit(",", 1), "a,b,c".rsplit(","), "  a  b  ".rsplit(), "".split(), "".split(",")
"abc".split("")
" a b c ".split(none, 0), " a b c ".rsplit(none, 0), "a--b--c".split("--"), "aaa".split("aa"), "aaa".rsplit("aa")
lines.splitlines(), lines.splitlines(true), "".splitlines(), "a\x0bb\u2028c".splitlines(), "\n".splitlines()
s.startswith("He"), s.startswith(("x", "H")), s.endswith("ld"), s.startswith("l", 2), s.startswith("", 20), s.endswith(("a",))
s.startswith(["H"])
s.startswith(1)
"aXbXc".replace("X", "-"), "aXbXc".replace("X", "-", 1), "abc".replace("", "-"), "abc".replace("", "-", 2), "".replace("", "x"), "aaa".replace("aa", "b")
"héé".replace("", "."), "héé".replace("é", "e", -1), "abc".replace("z", "y")
s.find("o"), s.rfind("o"), s.find("zz"), u.find("世"), u.rfind("l"), s.find("o", 5), s.find("o", 5, 6), s.find("", 3), s.find("", 50), s.rfind("")
s.index("zz")
s.index("W"), s.rindex("o"), s.count("l"), s.count(""), "aaaa".count("aa"), s.count("o", 5), u.count("")
", ".join(ls), "".join(words), "-".join("abc"), "-".join({"a": 1})
",".join([1])
"5".isdigit(), "٣".isdigit(), "²".isdigit(), "²".isdecimal(), "½".isnumeric(), "五".isnumeric(), "".isdigit(), "5a".isdigit()
"ab".isalpha(), "世".isalpha(), "a1".isalnum(), "a b".isalnum(), " \t".isspace(), "".isspace(), "\u3000".isspace()
"ABC".isupper(), "abc1".islower(), "123".isupper(), "Aa".istitle(), "A B".istitle(), "世".islower(), "ab_1".isidentifier(), "1a".isidentifier()
"5".zfill(3), "-5".zfill(4), "+5".zfill(4), "abc".zfill(2), "a".ljust(3) ~ "|", "a".rjust(3, "*"), "ab".center(5, "*"), "ab".center(6), "abc".center(6, "."), "世".center(4, "界")
"a".ljust(3, "ab")
"TestCase".removeprefix("Test"), "TestCase".removesuffix("Case"), "TestCase".removeprefix("x")
"a=b=c".partition("="), "a=b=c".rpartition("="), "abc".partition("="), "abc".rpartition("=")
"a\tb".expandtabs(4), "ab\tc".expandtabs(), "abc".isascii(), "é".isascii(), "a\n".isprintable()
"{} {}".format(1, "a"), "{0}{1}{0}".format("a", "b"), "{x}".format(x=1), "{{}}".format(), "{:>5}|{:<5}|{:^5}|".format("a", "b", "c")
"{:05d} {:+d} {:,} {:x} {:#x} {:b} {:o}".format(42, 42, 1234567, 255, 255, 5, 8), "{:.2f} {:e} {:g} {:%}".format(3.14159, 12345.678, 0.0001, 0.25)
"{!r} {!s}".format("a", "b"), "{:*^9}".format("mid"), "{:>{w}}".format("a", w=4), "{.x} {[1]}".format({"x": 1}, [1, 2]), "{0[k]}".format({"k": 3})
"{:.3}".format("abcdef"), "{:5}|".format(3), "{:<5}|".format(3), "{:=+6}".format(3), "{:_}".format(1234567), "{}".format(1.0), "{}".format(none), "{:.3}".format(3.14159)
"{} {0}".format(1, 2)
"{}".format()
"{".format()
"}".format()
"{:d}".format("a")
"{:d}".format(1.5)
"{x}".format(y=1)
"%s %d %5.2f|%-5s|%05d|%x|%X|%o|%e|%g" % ("a", 3, 2.5, "b", 42, 255, 255, 8, 1234.5, 0.00001)
"%s" % "x", "%s" % none, "%r" % "a", "%%", "%d%%" % 50, "%(a)s" % {"a": 1}, "%s" % [1], "%s %s" % (1, [2]), "%5s|" % "é", "%.2s" % "abc", "%c" % 65, "%c" % "x"
"%+d % d %#x %#o" % (5, 5, 255, 8), "%i" % 3.9, "%5d|%-5d|" % (3, 3), "%*d" % (5, 42), "%.3d" % 7, "%s" % true, "%d" % true
"%d" % "a"
"%s %s" % "a"
"%s" % ("a", "b")
"%q" % 1
"%" % 1
"a" % 1
"%(b)s" % {"a": 1}
"%s and %s"|format("a", "b"), "%(x)s"|format(x=5), "%s"|format(none)
"%.10f" % 0.1, "%.0f" % 0.5, "%.0f" % 1.5, "%g" % 100000, "%g" % 1000000, "%G" % 1e-10, "%.3g" % 1234.5678, "%#g" % 1.0, "%f" % 1
0.1, 1.0, 1e16, 1e15, 123456789012345680.0, 1e-5, 0.0001, 1.5e300, -0.0, 1e22, big, small, f, g, 5e-324, 0.1 + 0.2, 100.0, 1e100
1_000, 0x1F, 0b101, 0o17, 1_0.5_0, 1e3, 1E-2, 2.5e+3
[1.0, "a'b", 'a"b', "a'\"b", "\n\t\\", true, none, (1,), (), {}, {"a": [1]}, "é", "\x01", "\u200b", "\xa0"]
"\x41\u00e9\U0001F600\101\n|\q|\'|\"|\a".encode is defined
"\x41\u00e9\U0001F600\101|\q|\'|\""
"a\
b"
mixed, users[0], d.c
l|first, l|last, e|first, el|last, u|last, u|first, d|first, range(3)|last, (1, 2)|last
l|sort, words|sort, words|sort(case_sensitive=true), l|sort(reverse=true), words|sort(true), users|sort(attribute="age")|map(attribute="name")|list
users|sort(attribute="age,name")|map(attribute="name")|list, users|sort(true, attribute="age")|map(attribute="name")|list, users|sort(attribute="city.n")|map(attribute="name")|list
mixed|sort
"hello"|sort, d|sort, (2, 1)|sort, nested|sort
d|dictsort, {"b": 1, "A": 2}|dictsort(true), {"b": 1, "a": 2}|dictsort(by="value"), {"b": 1, "a": 2}|dictsort(false, "value", true), {"x": "b", "y": "A"}|dictsort(by="value")
d|dictsort(by="nope")
words|unique|list, [1, 1.0, true, "1"]|unique|list, words|unique(true)|list, users|unique(attribute="age")|map(attribute="name")|list
nested|unique|list
l|min, l|max, words|min, words|max(true), users|max(attribute="age"), el|min, users|min(attribute="name")|attr("name"), "hello"|max
mixed|min
l|sum, [0.1, 0.2]|sum, users|sum(attribute="age"), el|sum, el|sum(start=5), nested|sum(start=[])
ls|sum
users|groupby("age")|list, users|groupby("city.n")|map("first")|list, users|groupby("age")|map(attribute="list")|map("length")|list
users|groupby("nope", default="x")|length, [{"a": "X"}, {"a": "x"}]|groupby("a"), [{"a": "X"}, {"a": "x"}]|groupby("a", case_sensitive=true)
(users|groupby("age"))[0].grouper, (users|groupby("age"))[0].list|length, (users|groupby("age"))[0][0]
l|batch(2)|list, l|batch(2, "x")|list, l|slice(2)|list, l|slice(2, "x")|list, range(7)|slice(3)|list, l|slice(5)|list, el|batch(2)|list
l|slice(0)|list
l|reverse|list, s|reverse, u|reverse, d|reverse|list, range(3)|reverse|list
5|reverse
l|join, l|join(", "), ls|join("-"), users|join(", ", attribute="name"), "abc"|join("."), d|join(","), mixed|join("|"), l|join(1)
5|join
l|map("string")|list, words|map("upper")|join(","), users|map(attribute="name")|list, users|map(attribute="nope", default="x")|list, users|map(attribute="nope")|list
l|map("add")|list
l|map()|list
l|map(nope=1)|list
l|map("default", "x")|list, ["a b", "c"]|map("replace", " ", "_")|list, [" a "]|map("trim")|list, nested|map("join", "-")|list, [[1, 2]]|map(attribute=1)|list
l|select|list, [0, 1, "", "a", none]|select|list, l|select("odd")|list, l|select("gt", 1)|list, l|select(">", 1)|list, l|reject("odd")|list, l|select("in", [1])|list
l|reject|list, mixed|select("string")|list, mixed|reject("none")|list, mixed|select("mapping")|list, range(10)|select("divisibleby", 3)|list
l|select("nope")|list
users|selectattr("age", "gt", 26)|map(attribute="name")|list, users|selectattr("name")|list|length, users|rejectattr("age", "equalto", 30)|map(attribute="name")|list
users|selectattr("city.n", "eq", "Rome")|list|length, users|selectattr("nope", "defined")|list, users|selectattr("nope")|list, users|rejectattr("nope", "undefined")|list
users|selectattr()|list
messages|selectattr("tool_calls", "defined")|list|length, messages|selectattr("role", "equalto", "user")|first, messages|map(attribute="content")|select("string")|join(" ")
messages|map(attribute="role")|list, messages|rejectattr("role", "in", ["system"])|map(attribute="role")|join(",")
l|length, l|count, s|length, u|length, d|length, range(5)|length, ()|length
5|length
none|length
l|map("string")|length
(l|map("string")) is iterable, (l|map("string"))|first, l|map("string")|map("int")|sum
"5"|int, "5.7"|int, "x"|int, "x"|int(9), 5.9|int, -5.9|int, "0x1F"|int(base=16), "ff"|int(0, 16), "101"|int(0, 2), none|int, none|int(3), " 42 "|int, "1_000"|int, true|int, "-7"|int, "+7"|int, [1]|int, "1e3"|int, "0x1F"|int(0, 0), "0x1F"|int, "٣"|int is number
"5.5"|float, "x"|float, "x"|float(1.5), 5|float, none|float, "1e3"|float, "inf"|float, "-inf"|float, " 2 "|float, true|float, [1]|float, "1_0.5"|float, "nan"|float, "infinity"|float, "0x10"|float
"inf"|float|int
2.5|round, 3.5|round, 2.567|round(2), 2.567|round(2, "floor"), 2.567|round(2, "ceil"), 42|round, 2.4|round(0, "ceil"), -2.5|round, 1234.5|round(-2), 1234|round(-2), 1250|round(-2), 1350|round(-2), 5|round(1, "floor"), 0.5|round, 1.005|round(2), 2.675|round(2)
2.5|round(1, "nope")
"a"|round
5|abs, -5|abs, -5.5|abs, true|abs
"a"|abs
s|upper, s|lower, s|capitalize, "hELLO wORLD"|capitalize, s|title, 5|upper, none|lower, sp|trim, "xxaxx"|trim("x"), 5|trim, u|upper, "éA"|capitalize, "foo bar-baz"|title
s|replace("l", "L"), s|replace("l", "L", 2), 5|replace(5, 6), "aaa"|replace("a", "b", count=1), s|replace("", "-")
s|replace("l")
s|center(20) ~ "|", "a"|center(4) ~ "|", s|center ~ "|"
"one two three four five"|truncate(10), "one two three four five"|truncate(10, true), "one two three four five"|truncate(10, false, "!"), "short"|truncate(3), "one two three"|truncate(11), "one two three"|truncate(8, leeway=0), "onetwothreefourfivesixseven"|truncate(10), "onetwothreefourfivesixseven"|truncate(10, leeway=0), u|truncate(5, true, "…", 0)
"one two"|truncate(1, leeway=0)
"a\nb\n\nc"|indent, "a\nb"|indent(2), "a\nb"|indent(2, true), "a\n\nb"|indent(2, false, true), "a\nb"|indent("> "), "a\nb"|indent(width="> ", first=true), ""|indent, "a\n"|indent, "\n"|indent(2, true, true)
5|indent
"one two three"|wordcount, "a-b c_d 世界 5"|wordcount, ""|wordcount
"The quick brown fox jumps over the lazy dog"|wordwrap(10), "averyveryverylongword short"|wordwrap(5), "averyveryverylongword"|wordwrap(5, false), "a b\nc d e f"|wordwrap(3), "one two"|wordwrap(3, wrapstring="|"), "well-known fact-based"|wordwrap(6), "well-known"|wordwrap(6, break_on_hyphens=false), ""|wordwrap(4), "  lead and trail  "|wordwrap(6)
html|e, html|escape, html|striptags, "<p>a  b</p>\n<!-- c -->d &amp; e &#65; &lt;"|striptags, html|forceescape, html|e|e, html|safe|e, (html|e) is escaped, html is escaped, (html|safe) is escaped
("<"|e) + "<", "<" + ("<"|safe), ("<"|safe) ~ "<", (("<"|safe) * 2) + "<", "<"|e|upper, ["<"|e]
{"a": 1, "b": none, "c": "x&y"}|xmlattr, {"a": 1}|xmlattr(false), {}|xmlattr
{"a b": 1}|xmlattr
"a b/c?d=é&f"|urlencode, {"a": 1, "b c": "d e"}|urlencode, [("a", "b")]|urlencode, 5|urlencode
5|filesizeformat, 1000|filesizeformat, 1500|filesizeformat, 1024|filesizeformat(true), 1|filesizeformat, 123456789|filesizeformat, 1e30|filesizeformat, 0|filesizeformat, 999999|filesizeformat
d|tojson, mixed|tojson, u|tojson, d|tojson(indent=2), mixed|tojson(indent=4), [[], {}]|tojson(indent=2), [[], {}]|tojson
{"b": 1, "a": 2}|tojson(sort_keys=true), [1, 2]|tojson(separators=(",", ":")), {"a": 1}|tojson(separators=[",", ":"]), u|tojson(ensure_ascii=true), [1, {"a": 2}]|tojson(indent="--")
"\"\\\n\r\t\x08\x0c\x01\x7f/<>&'"|tojson, "\x7f\x80"|tojson(ensure_ascii=true), {1: 2, none: 3, true: 4, 1.5: 5}|tojson, (1, 2)|tojson, 1e22|tojson, 0.1|tojson, [1]|tojson(indent=0), "inf"|float|tojson, [1, 2]|tojson(true, 1)
{(1, 2): 3}|tojson
range(3)|tojson
l|map("string")|tojson
d.keys()|tojson
{"a": undefined_thing}|tojson
{"b": 1, 2: 3}|tojson(sort_keys=true)
none|default("x"), none|default("x", true), ""|d("x"), ""|d("x", true), 0|default(1, boolean=true), undefined_thing|default, undefined_thing|default(none), d.nope|default("z")
undefined_thing.x|default("y")
s|string, 5|string, none|string, l|string, u|list, s|list, d|list, (1, 2)|list, d.items()|list
d|items|list, ed|items|list
l|items|list
"abc"|attr("upper"), d|attr("b"), d|attr("items")
d|attr("keys") is callable
i is odd, i is even, i is divisibleby 7, i is divisibleby(2), 5.0 is odd
"a" is odd
i is defined, nope is defined, nope is undefined, nil is none, nil is not none, nope is none, i is number, f is number, t is number, s is number
i is integer, t is integer, f is integer, f is float, i is float, t is boolean, i is boolean, t is true, i is true, no is false, z is false
s is string, i is string, d is mapping, l is mapping, l is iterable, s is iterable, i is iterable, d is iterable, nope is iterable, l is sequence, s is sequence, d is sequence, i is sequence, nope is sequence, range(3) is sequence, d.items() is sequence, d.items() is iterable
s is callable, s.upper is callable, range is callable, nope is callable, dict is callable, namespace is callable
1 is sameas 1, none is sameas none, t is sameas true, 1 is sameas true, l is sameas l, "a" is sameas "a"
1 is eq 1, 1 is equalto 2, 1 is ne 2, 1 is lt 2, 1 is gt 2, 1 is le 1, 1 is ge 2, 1 is lessthan 2, 1 is greaterthan 0, 1 is in [1], "a" is in "abc", 1 is not in [1]
"abc" is lower, "ABC" is upper, "" is lower, 5 is lower, "upper" is filter, "nope" is filter, "odd" is test, "nope" is test, 1 is filter
1 is eq(1), 1 is eq 1 and true, not 1 is eq 1, 1 is not eq 2, x is defined and y is defined, (1 is eq 1) ~ "x", 1 is defined + 1
range(5)|list, range(1, 5)|list, range(5, 1, -1)|list, range(0), range(2, 9, 3), range(3)[1], range(3)|length, 2 in range(3), range(3) == range(3), range(0)|list
range(5, 1, 0)
range("a")
range(1.5)
range()
range(100001)
range(100000)|length
dict(a=1, b=2), dict([("a", 1)]), dict({"a": 1}, b=2), dict(), dict(**{"x": 1})
dict([1])
dict(1)
dict({"a": 1}, {"b": 2})
namespace(a=1), namespace(a=1).a, namespace().b, namespace({"x": 2}).x, namespace(a=1).b is defined
joiner("|")(), joiner()() ~ "x"
cycler(1, 2).next(), cycler(1, 2).current
cycler()
raise_exception("no")
{"a": 1, "a": 2}, {1: "x", 1.0: "y", true: "z"}, {"a": 1}["a"], {1: 2}[1], {1: 2}[true], {none: 1}[none], {(1, 2): 3}[(1, 2)], {(1, 2): 3}[1, 2]
{[1]: 2}
{"a": 1}[[1]]
{} is sameas {}
[1, 2,], (1,), (), [], {}, {"a": 1,}, 1,
(1, 2) == (1, 2), 1, 2
[[1, [2]], [3]]|map("length")|list
s.upper().lower().title()[0:3]|length
"a".__class__
d.__class__
d.__class__.x
s.__len__
l.__class__ is defined
[].append
(l|length > 2) and (l|first == 3)
l|length > 2 and l|first == 3
i ~ f ~ t ~ nil ~ l ~ d.c
"a" if i > 5 else "b" ~ "c"
-i ** 2, (-i) ** 2, 2 ** -i|abs
1 + 2|string ~ "x"
"x" + 2|string
not none, not "a", not not 1
s|upper|lower|title|replace("o", "0")|length
s|nope
s is nope
1 if true else s|nope
s.split(" ")|map("lower")|map("length")|sum
"a,b;c".replace(";", ",").split(",")|join("-")|upper
u.encode("utf-8") is defined
s(1)
5()
none()
l.index
loop
loop.index
true, True, false, False, none, None
"%s" % undefined_thing
"" ~ undefined_thing
[none, true]|tojson ~ ""
messages[0]["role"] == "system" and messages[1:]|length == 2
messages[-1].content is none, messages[-1].tool_calls|length, messages[0].tool_calls is defined
messages[0].content.strip().split()[0].rstrip(".")
s.split("o", maxsplit=1), s.split(sep="o"), lines.splitlines(keepends=true)
s.split(nope=1)
s.replace("a", "b", count=1) is defined
s.strip(5)
s.find(5)
s|trim(chars="H"), l|sort(nope=1)
l|join(d="-"), l|join(", ", none), s|replace(old="l", new="L")
range(stop=3)
"1,2;3"|replace(",", ";")|list|length
9223372036854775807, -9223372036854775807 - 1, 9223372036854775806 + 1
1 == 1.0000000000000001, 9007199254740993 == 9007199254740992.0, 1e400 > 5, -1e400 < 0
"a" in ["a", "b"] and "c" not in ["a"]
1 not in [1] or 2 in [2]
[l, l] == [[3, 1, 2], [3, 1, 2]], {"x": l} == {"x": [3, 1, 2]}
"é" == "é", "a" * 0 == "", [] == (), none == false, 0 == false, "" == none
"x"|list|first|upper, [1, [2, 3]]|last|last
(1, "a") < (1, "b"), [] < [1], [2] > [1, 5]
i.is_integer is defined, f.is_integer(), 2.0.is_integer()
" ".join(["a", "b"])|title, "abc"|map("upper")|join, "abc"|select("in", "ab")|list
d.c.x|tojson(indent=none), 5|tojson, "a"|tojson, none|tojson, true|tojson
1 if x is defined else 2, 1 if x is not defined else 2, (x or "dflt"), x|default(y)|default("z")
"a" < "B", "a"|lower < "B"|lower, "10" < "9"
"Hello"[1:3] + "World"[-2:], "Hello"[::-1][0], ("a", "b")[::-1], l[:], l[0:0]
""[0:], ""[::-1], u[2:2], u[-100:100], s[1:-1:3], s[-1:0:-2]
""".strip("\n")

# ---- whole templates ----

TEMPLATES = [
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ x }},{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}|{{ loop.nextitem }};{% else %}none{% endfor %}",
    "{% for x in el %}x{% else %}none{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d|dictsort %}{{ k }}{% if not loop.last %},{% endif %}{% endfor %}",
    "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}",
    "{% for a, b in [1] %}{{ a }}{% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% else %}no{% endfor %}",
    "{% for x in l if x > 1 %}{{ x }}{{ loop.last }}{% endfor %}",
    "{% for x in l if x > 9 %}{{ x }}{% else %}no{% endfor %}",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }}{% endfor %}",
    "{% for x in 5 %}{% endfor %}", "{% for x in none %}{% endfor %}", "{% for x in nope %}a{% endfor %}ok",
    "{% for c in u %}{{ c }}.{% endfor %}", "{% for x in 'ab' %}{{ x }}{{ loop.index }}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% else %}else{% endfor %}",
    "{% for x in [1] %}{% break %}{% else %}else{% endfor %}", "{% for x in [1, 2] %}{% continue %}{% else %}else{% endfor %}",
    "{% break %}", "{% continue %}", "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for x in l %}{% for y in ls %}{{ loop.index }}{{ x }}{{ y }}{% if y == 'b' %}{% break %}{% endif %}{% endfor %};{% endfor %}",
    "{% for i in l %}{% set outer = loop %}{% for j in ls %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}",
    "{% set x = 1 %}{% for i in l %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(n=0) %}{% for i in l %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}{{ ns }}",
    "{% set ns = namespace() %}{% set ns.a = [] %}{% set ns.a = ns.a + [1] %}{{ ns.a }}{{ ns.b }}",
    "{% set x = {} %}{% set x.a = 1 %}", "{% set nope.a = 1 %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, b = [1, 2] %}{{ b }}{{ a }}", "{% set a, b = 1 %}", "{% set (a, b) = 'xy' %}{{ a }}{{ b }}",
    "{% set x %}body {{ i }}{% endset %}[{{ x }}]", "{% set x | upper | trim %} body {% endset %}[{{ x }}]", "{% set x %}{% set y = 1 %}{% endset %}{{ y }}",
    "{% set x = 1 if no %}[{{ x }}]", "{% set x = 1, 2 %}{{ x }}", "{% set none = 1 %}", "{% set x = %}", "{% set 1 = 2 %}",
    "{% if t %}a{% elif no %}b{% else %}c{% endif %}", "{% if no %}a{% elif t %}b{% else %}c{% endif %}", "{% if no %}a{% elif no %}b{% else %}c{% endif %}",
    "{% if no %}a{% else %}{% if t %}b{% endif %}c{% endif %}", "{% if nope %}a{% else %}b{% endif %}", "{% if l and d %}x{% endif %}", "{% if nope.x %}a{% endif %}",
    "{% if 1, 2 %}x{% endif %}", "{% if t %}{% set q = 5 %}{% endif %}{{ q }}", "{% if no %}{{ s|nope }}{% endif %}ok", "{% if t %}{{ s|nope }}{% endif %}ok", "{% if no %}{{ s is nope }}{% endif %}ok",
    "{% if no %}{% for x in l %}{{ x|nope }}{% endfor %}{% endif %}", "{{ 1 if true else 'x'|nope }}", "{{ s|nope }}",
    "{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, 3) }}|{{ m(1, c=4) }}|{{ m() }}|{{ m(b=1, a=0) }}",
    "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}",
    "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}", "{% macro m() %}{{ kwargs.x }}{% endmacro %}{{ m(x=1) }}{{ m(y=1) }}",
    "{% macro m(a) %}{{ a.b }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(none) }}", "{% macro m(a, a2=1, b) %}{% endmacro %}",
    "{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}", "{{ m() }}{% macro m() %}x{% endmacro %}", "{% macro m() %}x{% endmacro %}{{ m }}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.caller }}",
    "{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}", "{% macro m() %}{% set x = 5 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}",
    "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}body {{ i }}{% endcall %}", "{% macro m() %}[{{ caller(1, 2) }}]{% endmacro %}{% call(a, b=3) m() %}{{ a }}{{ b }}{% endcall %}",
    "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", "{% call 5 %}x{% endcall %}", "{% macro m(x) %}{{ x }}{{ caller() }}{% endmacro %}{% call m(x=1) %}z{% endcall %}",
    "{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}", "{% macro a(x) %}{{ x|upper }}{% endmacro %}{{ a('q') ~ a('r') }}{{ a('z')|length }}", "{% macro m(*a) %}{% endmacro %}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'a': 2}) }}", "{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*l[:2]) }}{{ m(1, **{'b': 2}) }}",
    "{% filter upper %}abc {{ s }}{% endfilter %}", "{% filter replace('a', 'b')|upper %}banana{% endfilter %}", "{% filter nope %}x{% endfilter %}", "{% filter indent(2) %}a\nb\n{% endfilter %}",
    "{% with %}{% set x = 1 %}{{ x }}{% endwith %}{{ x }}", "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% set a = 9 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with a, b = 1 %}{% endwith %}",
    "{% raw %}{{ x }}{% if %}{% endraw %}|", "{% raw -%}  a {{  {%- endraw %} b", "a\n  {% raw %}\n x \n  {% endraw %}\nb", "{% raw %}", "{%- raw -%} x {%- endraw -%} y", "{% raw +%}x{% endraw %}", "x {%+ raw %} y {%+ endraw +%}\n z",
    "a {# comment #} b", "a {#- comment -#} b", "{# multi\nline #}\nx", "  {# c #}\nx", "  {#+ c +#}\nx", "{# {{ x }} {% if %} #}y", "{#", "{#}", "{##}x", "{#-#} x",
    "a\n  {% if t %}\n  b\n  {% endif %}\nc", "a\n  {%- if t %}\n  b\n  {%- endif %}\nc", "a\n  {% if t -%}\n  b\n  {% endif -%}\nc", "a\n  {%+ if t %}\n  b\n  {%+ endif %}\nc", "a\n  {% if t +%}\n  b\n  {% endif +%}\nc",
    "  {{ i }}  \n  {{- i -}}  \n x", "\t{% set x = 1 %}\n\t{{ x }}\n", "x  {% if t %}y{% endif %}  z", "{% if t %}\n\n\na{% endif %}\n\nb\n", "a\n\n", "a\r\nb\rc\n", "\n", "", "{{ i }}\n", "{% if t %}\r\nx{% endif %}\r\ny", "a {%- set x = 1 -%} b {{- x -}} c",
    "{% for x in l %}\n  {{ x }}\n{% endfor %}\nend", "{% for x in l -%}\n  {{ x }}\n{%- endfor %}\nend", "  {% for x in l %}  {{ x }}  {% endfor %}  ", "{%- for x in l %}\n    {%- if x %}\n {{- x }}\n {%- endif %}\n{%- endfor %}", "\u3000{%- if t %}x{% endif %}", "\u3000{% if t %}x{% endif %}",
    "{{ '}}' }}", "{{ '%}' }}", "{% set x = '%}' %}{{ x }}", "{{ {'a': {'b': 1}} }}", "{{ {'a': {'b': 1}}['a']['b'] }}", "{{ \"{{\" }}", "{{ [1, 2}}", "{{ (1 }}", "{{ 1) }}", "{ { x } }", "{{", "{%", "}}", "%}", "{{ }}", "{% %}", "{{ 1 2 }}", "{{ ; }}", "{{ a! }}", "{{ 'abc }}", "{{ 1 if }}", "{% if %}{% endif %}",
    "{% endif %}", "{% if t %}", "{% for x in l %}", "{% else %}", "{% nope %}", "{% if t %}{% endfor %}", "{% for in l %}{% endfor %}", "{% for x l %}{% endfor %}", "{% for loop in l %}{% endfor %}", "{% macro %}{% endmacro %}", "{% set x %}", "{% do 1 %}", "{% include 'x' %}", "{% if no %}{% include 'x' %}{% endif %}ok", "{% import 'x' as y %}", "{% extends 'x' %}", "{% from 'x' import y %}",
    "{% print 1, 2 %}", "{% generation %}a{{ i }}{% endgeneration %}b", "{% generation %}{% set q = 1 %}{% endgeneration %}{{ q }}", "{% for x in l %}{% generation %}{{ loop.index }}{{ x }}{% endgeneration %}{% endfor %}", "{% autoescape false %}{{ html }}{% endautoescape %}",
    "{% if t: %}a{% endif %}", "{% for x in l: %}{{ x }}{% endfor %}", "{{ loop }}", "{% for x in l %}{% endfor %}{{ x }}", "{% for i in l %}{% endfor %}{{ i }}",
    "{% for u in users recursive %}{{ u.name }}{% endfor %}", "{% for n in [{'v': 1, 'c': [{'v': 2, 'c': []}]}] recursive %}{{ loop.depth }}{{ loop.depth0 }}{{ n.v }}{% if n.c %}({{ loop(n.c) }}){% endif %}{% endfor %}", "{% for x in l %}{{ loop(l) }}{% endfor %}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }}", "{% set j = joiner(', ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}",
    "{% set g = l|map('string') %}{{ g|list }}{{ g|list }}", "{% set g = l|select('odd') %}{% for x in g %}{{ x }}{% endfor %}{% for x in g %}{{ x }}{% endfor %}", "{% for x in l|map('string') %}{{ loop.length }}{{ loop.last }}{{ x }}{% endfor %}", "{% set x = l|map('nope') %}ok", "{% set g = l|map('string') %}{{ g|first }}{{ g|list }}",
    "{% for x in range(3) %}{{ x }}{% endfor %}", "{% for x in d %}{{ x }}{% endfor %}", "{% for a in users|groupby('age') %}{{ a.grouper }}:{{ a.list|map(attribute='name')|join(',') }};{% endfor %}", "{% for g, items in users|groupby('age') %}{{ g }}{{ items|length }}{% endfor %}", "{% for b in l|batch(2) %}{{ b|join('-') }};{% endfor %}",
    "{% set content = messages[0].content if messages[0].content is string else 'x' %}{{ content }}", "{% if not tools is defined %}{% set tools = none %}{% endif %}{{ tools }}", "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% else %}{% set loop_messages = messages %}{% endif %}{{ loop_messages|length }}",
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}{% endif %}{% endfor %}", "{{ raise_exception('x') if no }}ok", "{% for m in messages %}{{ '<|' + m.role + '|>' }}{{ m.content or '' }}{% endfor %}",
    "{% set x = 'a' -%}\n  {{ x }}", "{{ 'a' -}}   \n  b", "a\n{{- 'b' }}", "{%- if t -%} a {%- else -%} b {%- endif -%}", "x{# a #}\n{# b #}\ny", "{{ 1 }}\n{{ 2 }}\n", "   {%- set a = 1 %}   b", "{% set a = 1 %}\n{% set b = 2 %}\n{{ a }}{{ b }}\n\n", "a{% if t %} {% endif %}\n b",
    "{% set x = [] %}{% for i in l %}{% set x = x + [i] %}{% endfor %}{{ x }}", "{% set ns = namespace(x=[]) %}{% for i in l %}{% set ns.x = ns.x + [i] %}{% endfor %}{{ ns.x }}", "{{ namespace }}"[:0], "{% set a = 1 %}{% macro f(a) %}{{ a }}{% endmacro %}{{ f(2) }}{{ a }}", "{% for x in l %}{% set y = x %}{% endfor %}{{ y is defined }}",
    "{% for x in l %}{% if loop.first %}{% set y = 1 %}{% endif %}{{ y }}{% endfor %}", "{% for x in [1, 2] %}{{ y }}{% set y = x %}{{ y }}{% endfor %}", "{% set y = 0 %}{% for x in [1, 2] %}{{ y }}{% set y = x %}{{ y }}{% endfor %}", "{% for x in l %}{{ x }}{% for x in ls %}{{ x }}{% endfor %}{{ x }}{% endfor %}",
    "{% set ns.a, b = 1, 2 %}"[:0], "{{ 'a' 'b' }}", "{{ 'it''s' }}", "{{ \"a\\nb\" }}", "{{ 'tab\\tx' }}", "{{ 'multi\nline' }}", "{{ '\\u4e16' }}", "{{ '\\x4' }}", "{{ '\\N{DASH}' }}"[:0], "{{ 1.e }}", "{{ 1..x }}", "{{ .5 }}", "{{ 07 }}", "{{ 0_0 }}", "{{ 1__0 }}", "{{ x.1a }}", "{{ 世界 }}", "{% set 名 = 1 %}{{ 名 }}", "{{ a.b.c }}", "{{ d['c']['x'][1]['y'] }}", "{{ d.c.x.1.y }}",
    "{% for x in l if loop.first %}{{ x }}{% endfor %}", "{% for x in (1, 2) if x != 1 else 3 %}{% endfor %}", "{% for x in l if no else ls %}{{ x }}{% endfor %}", "{% for x in (l if no else ls) %}{{ x }}{% endfor %}", "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}", "{% for x in l, %}{{ x }}{% endfor %}",
]


# ---- random expressions ----

class Maker:
    """Random expressions, mostly of values that fit together."""

    NAMES = ["i", "n", "z", "f", "g", "t", "no", "nil", "s", "e", "u", "l", "words", "el", "nested",
             "mixed", "ls", "d", "ed", "users", "nope", "lines", "html"]
    FILTERS = ["upper", "lower", "trim", "length", "list", "first", "last", "sort", "reverse|list",
               "join", "join(', ')", "string", "int", "float", "abs", "round", "round(1)", "tojson",
               "tojson(indent=2)", "title", "capitalize", "default('d')", "default('d', true)",
               "replace('l', 'L')", "unique|list", "min", "max", "sum", "map('string')|list",
               "select|list", "reject('none')|list", "batch(2)|list", "slice(2)|list", "e", "indent",
               "wordcount", "truncate(5, true, '', 0)", "center(9)", "items|list", "dictsort",
               "urlencode", "striptags", "map('length')|list", "selectattr('name')|list",
               "map(attribute='name')|list", "wordwrap(4)", "format", "xmlattr", "pprint"[:0] or "d"]
    METHODS = ["upper()", "lower()", "strip()", "split()", "split('l')", "rsplit('l', 1)",
               "splitlines()", "title()", "capitalize()", "startswith('H')", "endswith('d')",
               "find('l')", "rfind('l')", "count('l')", "replace('l', '_')", "isalpha()", "isdigit()",
               "islower()", "isupper()", "zfill(8)", "center(8)", "items()", "keys()|list",
               "values()|list", "get('b')", "get('q', 1)", "index(1)", "count(1)", "join(ls)",
               "partition('l')", "format(1, 2)", "name", "b", "0", "swapcase()", "lstrip('H ')"]
    TESTS = ["defined", "none", "string", "number", "integer", "float", "boolean", "mapping",
             "iterable", "sequence", "odd", "even", "divisibleby 2", "eq 1", "lt 5", "in [1, 'a']",
             "true", "false", "lower", "upper", "undefined", "callable"[:0] or "ne 2"]

    def __init__(self, seed):
        self.random = random.Random(seed)

    def literal(self):
        r = self.random
        return r.choice([str(r.randint(0, 12)), repr(r.choice(["", "a", "ab c", "l", "é世", "%s", "<b>"])),
                         str(r.choice([0.5, 1.0, 2.75, 1e3])), "true", "false", "none", "[]", "{}",
                         "[1, 2, 3]", "['b', 'a']", "{'a': 1, 'b': [2]}", "(1, 'x')", "range(4)"])

    def atom(self):
        return self.random.choice([self.literal, lambda: self.random.choice(self.NAMES)])()

    def slice(self):
        parts = [self.random.choice(["", "", "0", "1", "-1", "2", "-2", "5"]) for _ in range(2)]
        step = self.random.choice(["", "", ":", ":2", ":-1"])
        return "[" + ":".join(parts) + step + "]"

    def expression(self, depth):
        r = self.random
        if depth <= 0:
            return self.atom()
        kind = r.randint(0, 14)
        sub = lambda: self.expression(depth - 1 - r.randint(0, 1))
        if kind <= 2:
            op = r.choice(["+", "-", "*", "/", "//", "%", "~", "~", "+", "**"])
            right = str(r.randint(0, 3)) if op in ("**", "*") else sub()
            return f"{sub()} {op} {right}"
        if kind == 3:
            op = r.choice(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])
            return f"{sub()} {op} {sub()}"
        if kind == 4:
            return f"{sub()} {r.choice(['and', 'or'])} {sub()}"
        if kind == 5:
            return f"{r.choice(['not ', '-', '+'])}{sub()}"
        if kind == 6:
            return f"({sub()} if {sub()} else {sub()})"
        if kind <= 9:
            return f"({sub()})|{r.choice(self.FILTERS)}"
        if kind == 10:
            return f"({sub()}).{r.choice(self.METHODS)}"
        if kind == 11:
            return f"({sub()}) is {r.choice(['', 'not '])}{r.choice(self.TESTS)}"
        if kind == 12:
            return f"({sub()})[{sub()}]"
        if kind == 13:
            return f"({sub()}){self.slice()}"
        return r.choice([f"[{sub()}, {sub()}]", f"{{'k': {sub()}}}", f"({sub()}, {sub()})", f"({sub()})"])

    def body(self, depth):
        r = self.random
        space = lambda: r.choice(["", " ", "\n", "  ", "\n  ", "\n\n"])
        sign = lambda: r.choice(["", "", "", "-", "+"])
        end = lambda: r.choice(["", "", "", "-"])
        if depth <= 0:
            return space() + r.choice(["x", "{{" + end() + " i " + end() + "}}", "{#" + end() + " c #}", "y\n"]) + space()
        kind = r.randint(0, 5)
        inner = lambda: self.body(depth - 1)
        tag = lambda text: "{%" + sign() + " " + text + " " + sign() + "%}"
        if kind == 0:
            return inner() + tag("if " + r.choice(["t", "no"])) + inner() + tag("else") + inner() + tag("endif")
        if kind == 1:
            return inner() + tag("for x in " + r.choice(["l", "el", "ls"])) + inner() + tag("endfor") + inner()
        if kind == 2:
            return inner() + tag("set q = 1") + inner()
        if kind == 3:
            return inner() + tag("filter upper") + inner() + tag("endfilter") + inner()
        if kind == 4:
            return inner() + "{%" + r.choice(["", "-", "+"]) + " raw " + end() + "%}" + space() + "r" + space() + tag("endraw") + inner()
        return inner() + inner()


def oracle(template):
    """(text, None), or (None, the error)."""
    try:
        return ENV.from_string(template).render(**json.loads(json.dumps(CONTEXT))), None
    except Exception as error:  # whatever Python raises, transformers' caller sees it
        return None, f"{type(error).__name__}: {error}"


def ours(template, folder):
    path = os.path.join(folder, "t.jinja")
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(template)
    run = subprocess.run([PROGRAM, "template", "--file", path], input=json.dumps(CONTEXT),
                         capture_output=True, text=True, timeout=60)
    if run.returncode == 1:
        return None, run.stderr.strip()
    if run.returncode != 0:
        return None, f"CRASH {run.returncode}: {run.stderr}"
    line = json.loads(run.stdout)
    return line.get("rendered"), line.get("error")


def comparable(expected, error):
    """Not what depends on addresses; not whole numbers beyond 64 bits, which tandem refuses; and
    not slices of constants that have none, like 5[1:], which Jinja2 folds to undefined although
    the same with a variable is an error."""
    if expected is not None and re.search(r" at 0x|<class|<built-in|<Loop|<function|<bound", expected):
        return False
    if error and "CRASH" not in error and ("64 bits" in error or "not supported" in error
                                       or "cannot be sliced" in error and expected is not None):
        return False
    return True


def main():
    n_random = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    maker = Maker(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    templates = ["{{ " + line + " }}" for line in "".join(EXPRESSIONS).splitlines() if line.strip()]
    # expressions that end in a backslash go on in the next line
    joined = []
    for template in templates:
        if joined and joined[-1].endswith("\\ }}"):
            joined[-1] = joined[-1][:-3] + "\n" + template[3:]
        else:
            joined.append(template)
    templates = joined + TEMPLATES
    # the parts of tuples one by one, so that one difference does not hide others
    parts = []
    for template in joined:
        try:
            tree = ENV.parse(template).body[0].nodes[0]
        except jinja2.TemplateError:
            continue
        if isinstance(tree, nodes.Tuple):
            text, depth, start, quote = template[3:-3], 0, 0, None
            for at, c in enumerate(text):
                if quote:
                    quote = None if c == quote and text[at - 1] != "\\" else quote
                elif c in "'\"":
                    quote = c
                elif c in "([{":
                    depth += 1
                elif c in ")]}":
                    depth -= 1
                elif c == "," and depth == 0:
                    parts.append("{{ " + text[start:at].strip() + " }}")
                    start = at + 1
            parts.append("{{ " + text[start:].strip() + " }}")
    templates += parts
    templates += ["{{ " + maker.expression(maker.random.randint(1, 4)) + " }}" for _ in range(n_random)]
    templates += [maker.body(maker.random.randint(1, 3)) for _ in range(n_random // 4)]
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for template in templates:
            expected, expected_error = oracle(template)
            result, error = ours(template, folder)
            if not comparable(expected, error):
                continue
            if expected != result or (error and "CRASH" in error):
                failures += 1
                print(f"template: {template!r}\n  jinja2: {expected!r} {expected_error or ''}\n"
                      f"  tandem: {result!r} {error or ''}")
    print(f"{len(templates)} templates, {failures} differences (jinja2 {jinja2.__version__})")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
