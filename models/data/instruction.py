"""Instruction following: lists and formats with constraints that can be checked."""
import re

from common import ALL_WORDS, ALL_WORDS_ZH, CITIES_EN, NAMES_EN, NAMES_ZH, WORDS, Item


def lines_of(words, style, start=1):
    if style == "bullets":
        return "\n".join(f"- {w}" for w in words)
    if style == "numbers":
        return "\n".join(f"{i}. {w}" for i, w in enumerate(words, start))
    if style == "lines":
        return "\n".join(words)
    return {"commas": ", ", "dashes": " - ", "slashes": "/", "semicolons": "; "}[style].join(words)


STYLES = {
    "bullets": ("as a bullet list, each line starting with '- '", "用列表输出，每行以“- ”开头"),
    "numbers": ("as a numbered list", "用编号列表输出"),
    "lines": ("one per line", "每行一个"),
    "commas": ("separated by commas", "用英文逗号分隔"),
    "slashes": ("separated by slashes", "用斜杠分隔"),
    "semicolons": ("separated by semicolons", "用分号分隔"),
}


def list_things(split, language):
    """Three fruits, in a given form, in a given language, perhaps without one of them."""
    rng = split.rng
    category = rng.choice(sorted(WORDS))
    pairs, n = WORDS[category], rng.randint(2, 5)
    style = rng.choice(sorted(STYLES))
    in_english = language == "en" or rng.random() < 0.4
    excluded = rng.choice(pairs) if rng.random() < 0.3 else None
    column = 0 if in_english else 1
    words = [p[column] for p in rng.sample([p for p in pairs if p != excluded], n)]
    if language == "en":
        prompt = rng.choice([f"List {n} {category[0]}, {STYLES[style][0]}.",
                             f"Name {n} {category[0]} {STYLES[style][0]}.",
                             f"Give me {n} {category[0]}, {STYLES[style][0]}."])
        if excluded:
            prompt += f" Do not mention {excluded[0]}."
    else:
        count = "零一两三四五"[n] if rng.random() < 0.5 else str(n)
        prompt = rng.choice([f"请列出{count}种{category[1]}，{STYLES[style][1]}。",
                             f"写出{count}个{category[1]}，{STYLES[style][1]}。"])
        if in_english:
            prompt += "用英文回答。"
        if excluded:
            prompt += f"不要提到{excluded[1]}。"
    allowed = [p[column] for p in pairs if p != excluded]
    return Item("instruction", "list_things", language, prompt, lines_of(words, style), "regex",
                {"all": [list_pattern(allowed, n, style)], "raw": True})


def list_pattern(allowed, n, style):
    """Matches n different words of `allowed` written in `style`, and nothing else."""
    word = "|".join(map(re.escape, allowed))
    template = lines_of(["\0"] * n, style)
    pattern, separator = "", re.escape(template.split("\0")[1]) if style in STYLES else ""
    for i, piece in enumerate(template.split("\0")[:-1], 1):
        used = "|".join(f"\\{k}" for k in range(1, i))
        end = "(?:" + separator + "|$)" if style not in ("numbers",) else "(?:\\n|$)"
        pattern += re.escape(piece) + (f"(?!(?:{used}){end})" if used else "") + f"({word})"
    return f"^\\s*{pattern}\\s*$"


def any_word(split, language):
    """A word, a made-up one or a number: whatever can be copied."""
    kind = split.rng.random()
    if kind < 0.4:
        return split.pick(ALL_WORDS_ZH if language == "zh" else ALL_WORDS)
    if kind < 0.8:
        return split.pick(NAMES_ZH) if language == "zh" else split.pick(NAMES_EN).lower()
    return str(split.rng.randint(0, 999))


def any_words(split, language, fewest, most):
    """Different ones."""
    words, n = [], split.rng.randint(fewest, most)
    while len(words) < n:
        word = any_word(split, language)
        if word not in words:
            words.append(word)
    return words


def repeat(split, language):
    rng = split.rng
    word = any_word(split, "zh" if language == "zh" and rng.random() < 0.5 else "en")
    n = rng.randint(2, 6)
    style = rng.choice(["commas", "lines", "slashes", "dashes"])
    form = {"commas": ("separated by commas", "用英文逗号分隔"), "lines": ("one per line", "每行一个"),
            "slashes": ("separated by slashes", "用斜杠分隔"),
            "dashes": ("separated by dashes", "用短横线分隔")}[style]
    prompt = {"en": f"Write the word {word} {n} times, {form[0]}.",
              "zh": f"把“{word}”写{n}遍，{form[1]}。"}[language]
    return exact("repeat", language, prompt, lines_of([word] * n, style))


def exact(family, language, prompt, answer):
    return Item("instruction", family, language, prompt, answer, "text",
                {"accept": [answer], "exact": True})


def change_case(split, language):
    rng = split.rng
    words = [split.pick(ALL_WORDS if rng.random() < 0.4 else NAMES_EN).lower()
             for _ in range(rng.randint(1, 3))]
    upper = rng.random() < 0.6
    text = " ".join(words)
    shown = text if upper else text.upper()
    answer = text.upper() if upper else text
    prompt = {"en": f"Write this in {'upper' if upper else 'lower'} case: {shown}",
              "zh": f"把下面的内容改成{'大写' if upper else '小写'}：{shown}"}[language]
    return exact("change_case", language, prompt, answer)


def reverse_words(split, language):
    rng = split.rng
    words = any_words(split, language, 3, 5)
    prompt = {"en": "Write these words in reverse order, separated by commas: {}",
              "zh": "把下面的词倒序输出，用英文逗号分隔：{}"}[language]
    return exact("reverse_words", language, prompt.format(", ".join(words)),
                 ", ".join(reversed(words)))


def say_exactly(split, language):
    rng = split.rng
    text = rng.choice([" ", ", ", "\n"]).join(any_words(split, language, 1, 10))
    prompt = rng.choice({"en": [f'Reply with exactly this and nothing else: {text}',
                                f'Say only: {text}'],
                         "zh": [f"只回复下面的内容，不要多说：{text}", f"请只输出：{text}"]}[language])
    return exact("say_exactly", language, prompt, text)


def join_words(split, language):
    """The same words in another form."""
    rng, words = split.rng, any_words(split, language, 3, 7)
    style = rng.choice(sorted(STYLES))
    prompt = {"en": f"Write these words {STYLES[style][0]}: {' '.join(words)}",
              "zh": f"把下面的词{STYLES[style][1]}：{' '.join(words)}"}[language]
    return exact("join_words", language, prompt, lines_of(words, style))


ORDINALS = ["first", "second", "third", "fourth", "fifth"]


def nth_word(split, language):
    rng, words = split.rng, any_words(split, language, 3, 5)
    at = rng.randrange(len(words))
    prompt = {"en": f"What is the {ORDINALS[at]} word in this list? {', '.join(words)}",
              "zh": f"下面第{'一二三四五'[at]}个词是什么？{', '.join(words)}"}[language]
    return exact("nth_word", language, prompt, words[at])


BRACKETS = [("square brackets", "方括号", "[]"), ("parentheses", "圆括号", "()"),
            ("double quotes", "英文双引号", '""'), ("curly braces", "花括号", "{}"),
            ("asterisks", "星号", "**")]


def wrap(split, language):
    rng = split.rng
    word, (english, chinese, marks) = any_word(split, "en"), rng.choice(BRACKETS)
    prompt = {"en": f"Write the word {word} in {english}.", "zh": f"把{word}放在{chinese}里输出。"}
    return exact("wrap", language, prompt[language], marks[0] + word + marks[1])


def begin_and_end(split, language):
    """A sentence about a name that begins or ends with given words."""
    rng = split.rng
    name, city = split.pick(NAMES_EN), split.pick(CITIES_EN)
    ending = rng.choice(["OK", "DONE", "END", "Thanks", "Bye"])
    if language == "en":
        prompt = rng.choice([f"Write one sentence saying that {name} lives in {city}. End with "
                             f"the word {ending}.",
                             f"Say that {name} lives in {city}, then end with {ending}."])
        answer = f"{name} lives in {city}. {ending}"
    else:
        prompt = f"用英文写一句话，说明{name}住在{city}，最后以{ending}结尾。"
        answer = f"{name} lives in {city}. {ending}"
    return Item("instruction", "begin_and_end", language, prompt, answer, "constraints",
                {"checks": [{"check": "contains", "words": [name, city]},
                            {"check": "ends_with", "text": ending}]})


def translate(split, language):
    rng = split.rng
    english, chinese = rng.choice([p for pairs in WORDS.values() for p in pairs])
    to_chinese = rng.random() < 0.5
    if language == "zh":
        prompt = f"把“{english}”翻译成中文。" if to_chinese else f"“{chinese}”用英文怎么说？"
    else:
        prompt = (f"Translate into Chinese: {english}" if to_chinese
                  else f"Translate into English: {chinese}")
    return exact("translate", language, prompt, chinese if to_chinese else english)


def yes_or_no(split, language):
    """Is a word of a category? Answered with one word."""
    rng = split.rng
    (category, pairs), (_, others) = rng.sample(sorted(WORDS.items()), 2)
    member = rng.random() < 0.5
    word = rng.choice(pairs if member else others)
    if language == "en":
        prompt = f"Does {word[0]} belong to {category[0]}? Answer with yes or no only."
        return exact("yes_or_no", language, prompt, "yes" if member else "no")
    prompt = f"{word[1]}属于{category[1]}吗？只回答“是”或“不是”。"
    return exact("yes_or_no", language, prompt, "是" if member else "不是")


def count_words(split, language):
    rng = split.rng
    words = split.sample(ALL_WORDS_ZH if language == "zh" else ALL_WORDS, rng.randint(2, 7))
    prompt = {"en": "How many words are in this list? Answer with a number only: {}",
              "zh": "下面列了几个词？只回答数字：{}"}[language]
    return exact("count_words", language, prompt.format(", ".join(words)), str(len(words)))


FAMILIES = [list_things, list_things, list_things, repeat, change_case, reverse_words,
            say_exactly, say_exactly, join_words, nth_word, wrap, begin_and_end, translate, yes_or_no, count_words]
