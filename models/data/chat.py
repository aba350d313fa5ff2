"""Short chat: greetings, who are you, and a few facts. Not graded; it keeps the models civil."""
from common import NAMES_EN, NAMES_ZH, WORDS, Item

FIXED = {
    "en": [(["Hello!", "Hi", "Hello there", "Hey", "Good morning"],
            "Hello! How can I help you?"),
           (["Who are you?", "What are you?", "Introduce yourself."],
            "I am a small demonstration model that ships with Tandem."),
           (["What can you do?", "How can you help me?"],
            "I can follow simple instructions, do small sums, write short Python functions and "
            "answer questions on small tables."),
           (["Thanks!", "Thank you.", "Thank you very much!"], "You are welcome!"),
           (["Bye", "Goodbye!", "See you later."], "Goodbye!"),
           (["How are you?", "How are you today?"], "I am fine, thank you.")],
    "zh": [(["你好！", "你好", "您好", "早上好", "嗨"], "你好！有什么可以帮你的？"),
           (["你是谁？", "介绍一下你自己。", "你叫什么？"], "我是 Tandem 自带的一个小型演示模型。"),
           (["你能做什么？", "你会什么？"], "我能完成简单的指令、做小的算术、写短的 Python 函数，还能回答关于小表格的问题。"),
           (["谢谢！", "谢谢你", "非常感谢！"], "不客气！"),
           (["再见", "拜拜", "回头见！"], "再见！"),
           (["你好吗？", "最近怎么样？"], "我很好，谢谢！")],
}
CAPITALS = [("China", "Beijing", "中国", "北京"), ("France", "Paris", "法国", "巴黎"),
            ("Japan", "Tokyo", "日本", "东京"), ("Germany", "Berlin", "德国", "柏林"),
            ("Italy", "Rome", "意大利", "罗马"), ("Spain", "Madrid", "西班牙", "马德里"),
            ("Egypt", "Cairo", "埃及", "开罗"), ("India", "New Delhi", "印度", "新德里"),
            ("Canada", "Ottawa", "加拿大", "渥太华"), ("Brazil", "Brasília", "巴西", "巴西利亚")]


def fixed(split, language):
    questions, answer = split.rng.choice(FIXED[language])
    return Item("chat", "fixed", language, split.rng.choice(questions), answer)


def my_name(split, language):
    name = split.pick(NAMES_ZH if language == "zh" else NAMES_EN)
    if language == "zh":
        return Item("chat", "my_name", language, f"你好，我叫{name}。", f"你好，{name}！有什么可以帮你的？")
    return Item("chat", "my_name", language, f"Hello, my name is {name}.",
                f"Hello, {name}! How can I help you?")


def capital(split, language):
    country, city, country_zh, city_zh = split.rng.choice(CAPITALS)
    if language == "zh":
        return Item("chat", "capital", language, f"{country_zh}的首都是哪里？", f"{country_zh}的首都是{city_zh}。")
    return Item("chat", "capital", language, f"What is the capital of {country}?",
                f"The capital of {country} is {city}.")


def category(split, language):
    names, pairs = split.rng.choice(sorted(WORDS.items()))
    english, chinese = split.rng.choice(pairs)
    if language == "zh":
        return Item("chat", "category", language, f"{chinese}属于哪一类？", f"{chinese}属于{names[1]}。")
    return Item("chat", "category", language, f"What kind of thing is {english}?",
                f"It belongs to {names[0]}.")


FAMILIES = [fixed, my_name, capital, category]
