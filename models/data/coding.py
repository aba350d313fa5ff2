"""Code generation: small Python functions, combined from parts, so that held-out combinations
exist that training never saw."""
from common import Item

# (English clause, Chinese clause, Python condition on x); {k} is a small number.
FILTERS = [
    ("even", "偶数", "x % 2 == 0"), ("odd", "奇数", "x % 2 != 0"),
    ("positive", "正数", "x > 0"), ("negative", "负数", "x < 0"),
    ("greater than {k}", "大于{k}的数", "x > {k}"), ("less than {k}", "小于{k}的数", "x < {k}"),
    ("divisible by {k}", "能被{k}整除的数", "x % {k} == 0"), (None, None, None)]
MAPS = [("squares", "平方", "x * x"), ("cubes", "立方", "x * x * x"),
        ("doubles", "两倍", "x * 2"), ("absolute values", "绝对值", "abs(x)"),
        (None, None, "x"), (None, None, "x")]
REDUCTIONS = [("sum", "和", "sum({})"), ("list", "列表", "[{}]"), ("largest", "最大值", "max({})"),
              ("smallest", "最小值", "min({})"), ("count", "个数", "len([{}])")]
NAMES = ("solve compute process calc work run_it answer task helper transform f g my_function "
         "do_it result_of handle evaluate func apply_it make").split()
SAMPLES = [[1, 2, 3, 4, 5, 6], [-3, -2, 7, 10, 12, 15], [9, 3, -6, 8, 30, -11], [2, 14, 5, -7, 20]]


def code_item(family, language, prompt, source, entry, cases):
    """cases: the tests' arguments; what is expected comes from running the reference."""
    namespace = {}
    exec(source, namespace)  # our own text, made above
    tests = [{"args": list(a), "expect": namespace[entry](*a)} for a in cases]
    return Item("code", family, language, prompt, f"```python\n{source}\n```", "python",
                {"function": entry, "cases": tests})


def ask(split, language, name, english, chinese):
    if language == "zh":
        return split.rng.choice([f"写一个 Python 函数 {name}，{chinese}。",
                                 f"请用 Python 编写函数 {name}：{chinese}。",
                                 f"实现 Python 函数 {name}，要求{chinese}。"])
    return split.rng.choice([f"Write a Python function {name} that {english}.",
                             f"Implement a Python function named {name} which {english}.",
                             f"Please write {name} in Python: it {english}."])


def list_pipeline(split, language):
    """The sum (count, list, ...) of the squares (cubes, ...) of the even (odd, ...) numbers."""
    rng = split.rng
    k, name = rng.randint(2, 9), rng.choice(NAMES)
    keep, change, reduce = rng.choice(FILTERS), rng.choice(MAPS), rng.choice(REDUCTIONS)
    if keep[0] is None and change[0] is None and reduce[0] in ("list", "count"):
        keep = FILTERS[0]
    condition = keep[2] and keep[2].format(k=k)
    inner = f"{change[2]} for x in numbers" + (f" if {condition}" if condition else "")
    source = f"def {name}(numbers):\n    return {reduce[2].format(inner)}"
    which = f"the {keep[0].format(k=k)} numbers" if keep[0] else "all numbers"
    which_zh = f"所有{keep[1].format(k=k)}" if keep[0] else "所有数"
    of = f"the {change[0]} of {which}" if change[0] else which
    english = {"sum": f"takes a list of integers and returns the sum of {of}",
               "list": f"takes a list of integers and returns a list of {of}",
               "largest": f"takes a list of integers and returns the largest of {of}",
               "smallest": f"takes a list of integers and returns the smallest of {of}",
               "count": f"takes a list of integers and returns how many {which} it has"}[reduce[0]]
    of_zh = which_zh + (f"的{change[1]}" if change[0] else "")
    chinese = {"sum": f"接收一个整数列表，返回其中{of_zh}的和",
               "list": f"接收一个整数列表，返回其中{of_zh}组成的列表",
               "largest": f"接收一个整数列表，返回其中{of_zh}的最大值",
               "smallest": f"接收一个整数列表，返回其中{of_zh}的最小值",
               "count": f"接收一个整数列表，返回其中{which_zh}的个数"}[reduce[0]]
    if reduce[0] == "count":
        source = f"def {name}(numbers):\n    return len([x for x in numbers" + (
            f" if {condition}])" if condition else "])")
    usable = []
    for sample in SAMPLES:
        kept = [x for x in sample if condition is None or eval(condition, {"x": x})]
        if kept or reduce[0] in ("sum", "list", "count"):
            usable.append((sample,))
    if not usable:
        return None
    return code_item("list_pipeline", language, ask(split, language, name, english, chinese),
                     source, name, usable)


# (English, Chinese, body, arguments of the tests); s: a string, {c}: a letter.
STRING_TASKS = [
    ("returns the string s reversed", "返回字符串 s 的倒序", "s[::-1]"),
    ("returns the string s in upper case", "返回字符串 s 的大写形式", "s.upper()"),
    ("returns the string s in lower case", "返回字符串 s 的小写形式", "s.lower()"),
    ("returns the length of the string s", "返回字符串 s 的长度", "len(s)"),
    ("returns how often the letter {c} occurs in the string s", "返回字母 {c} 在字符串 s 中出现的次数",
     's.count("{c}")'),
    ("returns whether the string s starts with {c}", "判断字符串 s 是否以 {c} 开头",
     's.startswith("{c}")'),
    ("returns whether the string s ends with {c}", "判断字符串 s 是否以 {c} 结尾",
     's.endswith("{c}")'),
    ("returns the string s without spaces", "返回去掉空格后的字符串 s", 's.replace(" ", "")'),
    ("returns the first {k} characters of the string s", "返回字符串 s 的前{k}个字符", "s[:{k}]"),
    ("returns the last {k} characters of the string s", "返回字符串 s 的后{k}个字符", "s[-{k}:]"),
    ("returns the string s repeated {k} times", "返回字符串 s 重复{k}次的结果", "s * {k}"),
    ("returns the list of words of the string s", "返回字符串 s 中单词的列表", "s.split()"),
    ("returns whether the string s is a palindrome", "判断字符串 s 是否是回文", "s == s[::-1]"),
    ("returns the number of vowels in the string s", "返回字符串 s 中元音字母的个数",
     'sum(1 for c in s if c in "aeiou")'),
]
TEXTS = ["hello world", "abcba", "Tandem Test", "banana bread", "eel", "A cat sat"]


def strings(split, language):
    rng = split.rng
    english, chinese, body = rng.choice(STRING_TASKS)
    values = dict(c=rng.choice("abehlnst"), k=rng.randint(2, 6))
    name = rng.choice(NAMES)
    body = body.replace("{c}", values["c"]).replace("{k}", str(values["k"]))
    return code_item("strings", language,
                     ask(split, language, name, english.format(**values),
                         chinese.format(**values)),
                     f"def {name}(s):\n    return {body}", name, [(t,) for t in TEXTS])


LIST_TASKS = [
    ("returns the first {k} items of the list items", "返回列表 items 的前{k}个元素", "items[:{k}]"),
    ("returns the last {k} items of the list items", "返回列表 items 的后{k}个元素", "items[-{k}:]"),
    ("returns the list items sorted in ascending order", "返回升序排序后的列表 items", "sorted(items)"),
    ("returns the list items sorted in descending order", "返回降序排序后的列表 items",
     "sorted(items, reverse=True)"),
    ("returns the list items in reverse order", "返回列表 items 的倒序", "items[::-1]"),
    ("returns the sorted list of the distinct values of items", "返回列表 items 去重并排序后的结果",
     "sorted(set(items))"),
    ("returns the number of distinct values in items", "返回列表 items 中不同元素的个数",
     "len(set(items))"),
    ("returns the average of the list items", "返回列表 items 的平均值", "sum(items) / len(items)"),
    ("returns the difference between the largest and the smallest of items",
     "返回列表 items 中最大值与最小值的差", "max(items) - min(items)"),
    ("returns how often {k} occurs in items", "返回{k}在列表 items 中出现的次数", "items.count({k})"),
    ("returns the index of the largest item of items", "返回列表 items 中最大值的下标",
     "items.index(max(items))"),
    ("returns every {k}th item of items, starting with the first",
     "返回列表 items 中从第一个开始每隔{k}个取一个的元素", "items[::{k}]"),
]
LISTS = [[3, 1, 2, 3, 5, 8], [7, 7, 4, 9, 2, 6, 1], [5, 4, 3, 2, 1, 6], [10, 2, 2, 8, 3, 9]]


def lists(split, language):
    rng = split.rng
    english, chinese, body = rng.choice(LIST_TASKS)
    k, name = rng.randint(2, 5), rng.choice(NAMES)
    return code_item("lists", language,
                     ask(split, language, name, english.format(k=k), chinese.format(k=k)),
                     f"def {name}(items):\n    return {body.format(k=k)}", name,
                     [(x,) for x in LISTS])


# Terms of a, b: (English, Chinese, Python).
TERMS = [("the sum of a and b", "a与b的和", "(a + b)"), ("the product of a and b", "a与b的积", "a * b"),
         ("the difference a minus b", "a减b的差", "(a - b)"),
         ("the larger of a and b", "a和b中较大的数", "max(a, b)"),
         ("the smaller of a and b", "a和b中较小的数", "min(a, b)"),
         ("the square of a plus the square of b", "a的平方与b的平方之和", "(a * a + b * b)")]


def two_numbers(split, language):
    rng = split.rng
    english, chinese, body = rng.choice(TERMS)
    name, k = rng.choice(NAMES), rng.randint(2, 9)
    twist = rng.randrange(3)
    if twist == 1:
        english, chinese, body = f"{english}, times {k}", f"{chinese}乘以{k}", f"{body} * {k}"
    elif twist == 2:
        english, chinese, body = f"{english}, plus {k}", f"{chinese}加{k}", f"{body} + {k}"
    if body.startswith("(") and body.endswith(")") and twist == 0:
        body = body[1:-1]
    return code_item("two_numbers", language,
                     ask(split, language, name, f"takes two numbers a and b and returns {english}",
                         f"接收两个数a和b，返回{chinese}"),
                     f"def {name}(a, b):\n    return {body}", name,
                     [(3, 5), (8, 2), (-4, 6), (7, 7)])


def predicates(split, language):
    rng = split.rng
    english, chinese, condition = rng.choice([f for f in FILTERS if f[0]])
    k, name = rng.randint(2, 9), rng.choice(NAMES)
    english, chinese = english.format(k=k), chinese.format(k=k)
    return code_item("predicates", language,
                     ask(split, language, name, f"returns whether the number x is {english}",
                         f"判断数字 x 是否是{chinese}"),
                     f"def {name}(x):\n    return {condition.format(k=k)}", name,
                     [(v,) for v in (0, 1, -4, 6, 9, 12, 35)])


FAMILIES = [list_pipeline, list_pipeline, list_pipeline, strings, strings, lists, two_numbers,
            predicates]
