"""Copying and recalling at length: answers in which every token follows from the prompt. Training
only: it teaches early what tables and lists need, to find a place in the prompt and go on there."""
import json

from common import CITIES_EN, CITIES_ZH, NAMES_EN, NAMES_ZH, Item
from instruction import any_words


def copy_item(family, language, prompt, answer):
    return Item("copying", family, language, prompt, answer)


def copy_text(split, language):
    rng = split.rng
    text = rng.choice([" ", ", ", "\n", "/", "; ", " - "]).join(any_words(split, language, 6, 24))
    prompt = rng.choice({"en": ["Copy this text: {}", "Say only: {}", "Repeat: {}",
                                "Reply with exactly this and nothing else: {}"],
                         "zh": ["抄写：{}", "请只输出：{}", "重复：{}",
                                "只回复下面的内容，不要多说：{}"]}[language])
    return copy_item("copy_text", language, prompt.format(text), text)


def people(split, language, n):
    """Rows of name, number, city."""
    zh = language == "zh"
    return [[split.pick(NAMES_ZH if zh else NAMES_EN), str(split.rng.randint(10, 199)),
             split.pick(CITIES_ZH if zh else CITIES_EN)] for _ in range(n)]


def written(rows, form):
    if form == "csv":
        return "\n".join(",".join(r) for r in rows)
    if form == "lines":
        return "\n".join("/".join(r) for r in rows)
    if form == "json":
        return json.dumps([dict(zip(rows[0], r)) for r in rows[1:]], ensure_ascii=False)
    lines = ["| " + " | ".join(r) + " |" for r in rows]
    return "\n".join([lines[0], "|---|---|---|", *lines[1:]])


FORMS = {"csv": ("CSV", "CSV"), "lines": ("lines with slashes", "斜杠分隔的行"),
         "json": ("a JSON array", "JSON 数组"), "markdown": ("a Markdown table", "Markdown 表格")}


def change_form(split, language):
    rng = split.rng
    header = ["姓名", rng.choice(["年龄", "分数", "身高", "工资"]), "城市"] if language == "zh" else \
        ["name", rng.choice(["age", "score", "height", "salary"]), "city"]
    rows = [header, *people(split, language, rng.randint(2, 5))]
    before, after = rng.sample(sorted(FORMS), 2)
    text = {"en": f"Convert to {FORMS[after][0]}.", "zh": f"转换成{FORMS[after][1]}。"}[language]
    return copy_item("change_form", language, f"{written(rows, before)}\n\n{text}",
                     written(rows, after))


def recall(split, language):
    """Several columns of several people, in another order."""
    rng = split.rng
    rows = people(split, language, rng.randint(3, 6))
    asked = rng.sample(rows, rng.randint(2, len(rows)))
    column = rng.choice([1, 2])
    names = ", ".join(r[0] for r in asked)
    text = {"en": f"Write {'the number' if column == 1 else 'the city'} for: {names}",
            "zh": f"写出{'数字' if column == 1 else '城市'}：{names}"}[language]
    form = rng.choice(["csv", "lines"])
    answer = "\n".join(f"{r[0]}: {r[column]}" for r in asked)
    return copy_item("recall", language, f"{written(rows, form)}\n\n{text}", answer)


FAMILIES = [copy_text, copy_text, change_form, recall]
