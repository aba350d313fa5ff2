"""Math and logic: short problems with worked steps, the result behind "Answer:" or "答案："."""
from common import GOODS, NAMES_EN, NAMES_ZH, Item


def worked(language, steps, result):
    label = "答案：" if language == "zh" else "Answer: "
    return "\n".join([*steps, f"{label}{result}"])


def number_item(family, language, prompt, steps, result):
    return Item("math", family, language, prompt, worked(language, steps, result), "number",
                {"value": result})


def name_of(split, language):
    return split.pick(NAMES_ZH if language == "zh" else NAMES_EN)


def addition(split, language):
    rng = split.rng
    a, b = rng.randint(2, 99), rng.randint(2, 99)
    kind = rng.choice("+-")
    if kind == "-" and b > a:
        a, b = b, a
    result = a + b if kind == "+" else a - b
    prompt = rng.choice({
        "en": ["What is {} {} {}?", "Calculate {} {} {}.", "Compute {} {} {}."],
        "zh": ["{} {} {} 等于多少？", "计算 {} {} {}。", "请计算：{} {} {}"]}[language])
    return number_item("addition", language, prompt.format(a, kind, b),
                       [f"{a} {kind} {b} = {result}"], result)


def three_terms(split, language):
    rng = split.rng
    a, b, c = (rng.randint(2, 60) for _ in range(3))
    total = a + b
    c = min(c, total)
    result = total - c
    prompt = {"en": "What is {} + {} - {}?", "zh": "{} + {} - {} 等于多少？"}[language]
    return number_item("three_terms", language, prompt.format(a, b, c),
                       [f"{a} + {b} = {total}", f"{total} - {c} = {result}"], result)


def product(split, language):
    rng = split.rng
    a, b = rng.randint(2, 12), rng.randint(2, 9)
    prompt = rng.choice({"en": ["What is {} × {}?", "Calculate {} times {}."],
                         "zh": ["{} × {} 等于多少？", "{}乘以{}是多少？"]}[language])
    return number_item("product", language, prompt.format(a, b), [f"{a} × {b} = {a * b}"], a * b)


SUBJECTS = [("math", "数学"), ("physics", "物理"), ("music", "音乐"), ("art", "美术"),
            ("history", "历史"), ("chess", "象棋"), ("football", "足球"), ("English", "英语"),
            ("dancing", "舞蹈"), ("painting", "绘画"), ("biology", "生物"), ("singing", "唱歌")]


def sets(split, language):
    """How many like neither of two things."""
    rng = split.rng
    both, only_a, only_b, neither = (rng.randint(2, 15) for _ in range(4))
    a, b = both + only_a, both + only_b
    total, either = both + only_a + only_b + neither, both + only_a + only_b
    first, second = rng.sample(SUBJECTS, 2)
    if language == "zh":
        prompt = rng.choice([
            "一个班级有{t}人，其中{a}人喜欢{x}，{b}人喜欢{y}，{c}人两者都喜欢，问有多少人既不喜欢{x}也不喜欢{y}？",
            "{t}名学生中，{a}人喜欢{x}，{b}人喜欢{y}，两样都喜欢的有{c}人。两样都不喜欢的有几人？"])
        x, y = first[1], second[1]
    else:
        prompt = rng.choice([
            "A class has {t} students. {a} like {x}, {b} like {y}, and {c} like both. How many "
            "like neither {x} nor {y}?",
            "Of {t} people, {a} like {x} and {b} like {y}; {c} like both. How many like neither?"])
        x, y = first[0], second[0]
    return number_item("sets", language, prompt.format(t=total, a=a, b=b, c=both, x=x, y=y),
                       [f"{a} + {b} = {a + b}", f"{a + b} - {both} = {either}",
                        f"{total} - {either} = {neither}"], neither)


def shopping(split, language):
    rng = split.rng
    n, price = rng.randint(2, 9), rng.randint(2, 12)
    cost = n * price
    paid = rng.choice([p for p in (10, 20, 50, 100, 200) if p > cost])
    goods, name = rng.choice(GOODS), name_of(split, language)
    if language == "zh":
        prompt = rng.choice(["{w}买了{n}个{g}，每个{p}元，付了{m}元，应找回多少元？",
                             "每个{g}{p}元，{w}买{n}个，给了{m}元，找回几元？"])
        goods = goods[1]
    else:
        prompt = rng.choice(["{w} buys {n} {g} at {p} dollars each and pays with {m} dollars. How "
                             "much change does {w} get?",
                             "{g} cost {p} dollars each. {w} buys {n} and pays {m} dollars. What "
                             "is the change?"])
        goods = goods[0]
    return number_item("shopping", language,
                       prompt.format(w=name, n=n, g=goods, p=price, m=paid),
                       [f"{n} × {price} = {cost}", f"{paid} - {cost} = {paid - cost}"],
                       paid - cost)


def give_and_take(split, language):
    rng = split.rng
    a, c = rng.randint(5, 50), rng.randint(2, 40)
    b = rng.randint(2, a - 1)
    goods, name = rng.choice(GOODS), name_of(split, language)
    if language == "zh":
        prompt = rng.choice(["{w}有{a}个{g}，送给朋友{b}个，又买了{c}个，现在有几个？",
                             "{w}原来有{a}个{g}，用掉了{b}个，后来得到{c}个。现在一共有多少个？"])
        goods = goods[1]
    else:
        prompt = rng.choice(["{w} has {a} {g}, gives away {b}, and then buys {c} more. How many "
                             "{g} does {w} have now?",
                             "{w} had {a} {g}, lost {b} and found {c}. How many {g} are there "
                             "now?"])
        goods = goods[0]
    left = a - b
    return number_item("give_and_take", language,
                       prompt.format(w=name, a=a, b=b, c=c, g=goods),
                       [f"{a} - {b} = {left}", f"{left} + {c} = {left + c}"], left + c)


def distance(split, language):
    rng = split.rng
    speed, hours = rng.choice(range(3, 13)), rng.randint(2, 9)
    prompt = {"en": "A car travels {} km per hour for {} hours. How far does it go, in km?",
              "zh": "一辆车每小时行{}千米，行驶了{}小时，一共行了多少千米？"}[language]
    speed *= rng.choice([1, 10])
    steps = [f"{speed} × {hours} = {speed * hours}"]
    return number_item("distance", language, prompt.format(speed, hours), steps, speed * hours)


def sequence(split, language):
    rng = split.rng
    start, step = rng.randint(1, 30), rng.randint(2, 9)
    terms = [start + step * i for i in range(4)]
    prompt = rng.choice({"en": ["What is the next number: {}, ?", "Continue the sequence: {}, ?"],
                         "zh": ["找规律，下一个数是多少：{}, ?", "数列 {} 的下一个数是几？"]}[language])
    following = terms[-1] + step
    return number_item("sequence", language, prompt.format(", ".join(map(str, terms))),
                       [f"{terms[1]} - {terms[0]} = {step}", f"{terms[-1]} + {step} = {following}"],
                       following)


def extreme(split, language):
    rng = split.rng
    numbers = rng.sample(range(1, 100), rng.randint(3, 5))
    largest = rng.random() < 0.5
    prompt = {"en": "Which number is the {}: {}?", "zh": "下面哪个数最{}：{}？"}[language]
    word = {"en": ("smallest", "largest"), "zh": ("小", "大")}[language][largest]
    result = max(numbers) if largest else min(numbers)
    return number_item("extreme", language, prompt.format(word, ", ".join(map(str, numbers))), [],
                       result)


def ordering(split, language):
    """A is taller than B, B is taller than C: who is tallest, who is shortest?"""
    rng = split.rng
    names = split.sample_names(NAMES_ZH if language == "zh" else NAMES_EN, 3)
    a, b, c = names
    facts = [(a, b), (b, c)]
    rng.shuffle(facts)
    top = rng.random() < 0.5
    if language == "zh":
        word, extremes = rng.choice([("高", ("矮", "高")), ("重", ("轻", "重")),
                                     ("快", ("慢", "快"))])
        text = "，".join(f"{x}比{y}{word}" for x, y in facts)
        prompt = f"{text}。谁最{extremes[top]}？"
    else:
        word, extremes = rng.choice([("taller", ("shortest", "tallest")),
                                     ("older", ("youngest", "oldest")),
                                     ("faster", ("slowest", "fastest"))])
        text = ". ".join(f"{x} is {word} than {y}" for x, y in facts)
        prompt = f"{text}. Who is the {extremes[top]}?"
    result = a if top else c
    return Item("math", "ordering", language, prompt, worked(language, [], result), "keywords",
                {"all": [result], "none": [n for n in names if n != result]})


FAMILIES = [addition, three_terms, product, sets, sets, shopping, give_and_take, distance,
            sequence, extreme, ordering]
