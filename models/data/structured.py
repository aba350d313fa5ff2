"""Structured data: questions on small tables and JSON, and conversions between them."""
import json

from common import CITIES_EN, CITIES_ZH, NAMES_EN, NAMES_ZH, Item

# Columns with numbers: (English, Chinese, low, high, English superlatives, Chinese superlatives).
NUMBERS = [("age", "年龄", 18, 60, ("youngest", "oldest"), ("年龄最小", "年龄最大")),
           ("score", "分数", 40, 99, ("lowest in score", "highest in score"), ("分数最低", "分数最高")),
           ("height", "身高", 150, 195, ("shortest", "tallest"), ("最矮", "最高")),
           ("salary", "工资", 20, 90, ("lowest in salary", "highest in salary"),
            ("工资最低", "工资最高"))]
NAME, CITY = ("name", "姓名"), ("city", "城市")


class Table:
    """Rows of name, number and city, in one of several written forms."""

    def __init__(self, split, language):
        rng = split.rng
        self.zh = language == "zh"
        n = rng.randint(3, 5)
        self.number = rng.choice(NUMBERS)
        self.names = split.sample_names(NAMES_ZH if self.zh else NAMES_EN, n)
        self.cities = [split.pick(CITIES_ZH if self.zh else CITIES_EN) for _ in range(n)]
        self.values = rng.sample(range(self.number[2], self.number[3] + 1), n)
        self.header = [NAME[self.zh], self.number[self.zh], CITY[self.zh]]
        self.missing = None

    def rows(self):
        return [[name, "" if i == self.missing else str(value), city] for i, (name, value, city)
                in enumerate(zip(self.names, self.values, self.cities))]

    def text(self, rng):
        style = rng.choice(["markdown", "csv", "csv", "lines"])
        rows = [self.header, *self.rows()]
        if style == "markdown":
            lines = ["| " + " | ".join(r) + " |" for r in rows]
            return "\n".join([lines[0], "|---|---|---|", *lines[1:]])
        return "\n".join(("," if style == "csv" else "/").join(r) for r in rows)


def question(table, rng, text):
    return f"{table.text(rng)}\n\n{text}"


def short(family, language, prompt, answer, others=()):
    if answer.isdigit():
        return Item("structured", family, language, prompt, answer, "number",
                    {"value": int(answer)})
    return Item("structured", family, language, prompt, answer, "keywords",
                {"all": [answer], "none": [o for o in others if o != answer]})


def extreme_row(split, language):
    rng, table = split.rng, Table(split, language)
    top = rng.random() < 0.5
    at = table.values.index(max(table.values) if top else min(table.values))
    word = table.number[5 if table.zh else 4][top]
    with_city = rng.random() < 0.4
    if table.zh:
        text = f"谁{word}？" + ("来自哪个城市？" if with_city else "")
        answer = table.names[at] + (f"，来自{table.cities[at]}" if with_city else "")
    else:
        text = f"Who is the {word}?" + (" From which city?" if with_city else "")
        answer = table.names[at] + (f", from {table.cities[at]}" if with_city else "")
    wanted = [table.names[at]] + ([table.cities[at]] if with_city else [])
    return Item("structured", "extreme_row", language, question(table, rng, text), answer,
                "keywords", {"all": wanted, "none": [n for n in table.names if n not in wanted]})


def look_up(split, language):
    rng, table = split.rng, Table(split, language)
    at = rng.randrange(len(table.names))
    if rng.random() < 0.5:
        text = (f"{table.names[at]}的{table.number[1]}是多少？" if table.zh
                else f"What is the {table.number[0]} of {table.names[at]}?")
        answer, others = str(table.values[at]), [str(v) for v in table.values]
    else:
        text = (f"{table.names[at]}在哪个城市？" if table.zh
                else f"Which city is {table.names[at]} from?")
        answer, others = table.cities[at], table.cities
    return short("look_up", language, question(table, rng, text), answer, others)


def find_name(split, language):
    """The other way round: whose value is it?"""
    rng, table = split.rng, Table(split, language)
    at = rng.randrange(len(table.names))
    text = (f"谁的{table.number[1]}是{table.values[at]}？" if table.zh
            else f"Whose {table.number[0]} is {table.values[at]}?")
    return short("find_name", language, question(table, rng, text), table.names[at], table.names)


def filter_rows(split, language):
    rng, table = split.rng, Table(split, language)
    ordered = sorted(table.values)
    limit = rng.choice(ordered[:-1])
    kept = [n for n, v in zip(table.names, table.values) if v > limit]
    text = (f"哪些人的{table.number[1]}大于{limit}？用英文逗号分隔。" if table.zh
            else f"Whose {table.number[0]} is greater than {limit}? Separate with commas.")
    return Item("structured", "filter_rows", language, question(table, rng, text), ", ".join(kept),
                "keywords", {"all": kept, "none": [n for n in table.names if n not in kept]})


def column(split, language):
    """All values of a column, in order."""
    rng, table = split.rng, Table(split, language)
    at = rng.choice([0, 2])
    values = [row[at] for row in table.rows()]
    text = (f"列出表中所有的{table.header[at]}，用英文逗号分隔。" if table.zh
            else f"List every {table.header[at]} in the table, separated by commas.")
    answer = ", ".join(values)
    return Item("structured", "column", language, question(table, rng, text), answer, "text",
                {"accept": [answer], "exact": True})


def count_rows(split, language):
    rng, table = split.rng, Table(split, language)
    text = "这个表有几行数据？只回答数字。" if table.zh else "How many people are in the table? Number only."
    return Item("structured", "count_rows", language, question(table, rng, text),
                str(len(table.names)), "number", {"value": len(table.names)})


def missing_value(split, language):
    rng, table = split.rng, Table(split, language)
    table.missing = rng.randrange(len(table.names))
    text = (f"谁的{table.number[1]}缺失？" if table.zh
            else f"Whose {table.number[0]} is missing?")
    return short("missing_value", language, question(table, rng, text),
                 table.names[table.missing], table.names)


def record(split, language, keys=None):
    """A person as ordered fields, for JSON: the given ones, or some."""
    rng = split.rng
    fields = {"name": split.pick(NAMES_ZH if language == "zh" else NAMES_EN),
              "age": rng.randint(18, 70),
              "city": split.pick(CITIES_ZH if language == "zh" else CITIES_EN),
              "score": rng.randint(40, 99)}
    keys = keys or ["name", *rng.sample(["age", "city", "score"], rng.randint(1, 3))]
    return {k: fields[k] for k in keys}


LABELS = {"name": "姓名", "age": "年龄", "city": "城市", "score": "分数"}


def json_item(family, language, prompt, value):
    return Item("structured", family, language, prompt, json.dumps(value, ensure_ascii=False),
                "json", {"expect": value})


def to_json(split, language):
    rng, fields = split.rng, record(split, language)
    keys = ", ".join(fields)
    if language == "zh":
        facts = "，".join(f"{LABELS[k]}{v}" for k, v in fields.items())
        prompt = rng.choice([f"把下面的信息转换成 JSON，键为 {keys}：{facts}",
                             f"{facts}。请用 JSON 输出，键为 {keys}。"])
    else:
        facts = ", ".join(f"{k} {v}" for k, v in fields.items())
        prompt = rng.choice([f"Convert to JSON with the keys {keys}: {facts}",
                             f"{facts}. Write this as JSON with the keys {keys}."])
    return json_item("to_json", language, prompt, fields)


def from_json(split, language):
    rng, fields = split.rng, record(split, language)
    key = rng.choice(list(fields))
    text = json.dumps(fields, ensure_ascii=False)
    prompt = (f"{text}\n\n上面 JSON 中 {key} 的值是什么？" if language == "zh"
              else f"{text}\n\nWhat is the value of {key} in this JSON?")
    others = [str(v) for k, v in fields.items() if k != key]
    return short("from_json", language, prompt, str(fields[key]), others)


def csv_to_json(split, language):
    fields = record(split, language)
    text = ",".join(fields) + "\n" + ",".join(str(v) for v in fields.values())
    prompt = {"en": f"{text}\n\nConvert this CSV row to a JSON object.",
              "zh": f"{text}\n\n把这行 CSV 转换成一个 JSON 对象。"}[language]
    return json_item("csv_to_json", language, prompt, fields)


def rows_to_json(split, language):
    """Two or three rows of CSV as an array of objects."""
    rows = [record(split, language)]
    keys = list(rows[0])
    rows += [record(split, language, keys) for _ in range(split.rng.randint(1, 2))]
    text = "\n".join([",".join(keys), *(",".join(str(v) for v in r.values()) for r in rows)])
    prompt = {"en": f"{text}\n\nConvert this CSV to a JSON array of objects.",
              "zh": f"{text}\n\n把这个 CSV 转换成 JSON 对象数组。"}[language]
    return json_item("rows_to_json", language, prompt, rows)


def to_csv(split, language):
    fields = record(split, language)
    text = json.dumps(fields, ensure_ascii=False)
    prompt = {"en": f"{text}\n\nWrite this as CSV with a header line.",
              "zh": f"{text}\n\n把它写成带表头的 CSV。"}[language]
    answer = ",".join(fields) + "\n" + ",".join(str(v) for v in fields.values())
    return Item("structured", "to_csv", language, prompt, answer, "table",
                {"format": "csv", "header": list(fields), "rows": [[str(v) for v in fields.values()]]})


FAMILIES = [extreme_row, extreme_row, look_up, look_up, find_name, filter_rows, column, count_rows,
            missing_value, to_json, from_json, csv_to_json, rows_to_json, to_csv]
