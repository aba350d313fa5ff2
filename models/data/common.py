"""What all families share: an item, the held-out split, and the stocks of words.

Everything is a function of the random generator that is passed in. A value that only held-out
items may use is drawn through `Split.pick`, so that training never sees it; and an item whose
prompt falls into the held-out part by its hash is never emitted for training.
"""
import dataclasses
import hashlib


@dataclasses.dataclass
class Item:
    """One question with its right answer, and how an answer is judged (see docs/graders.md)."""
    dimension: str  # instruction | math | code | structured | chat
    family: str
    language: str  # zh | en
    prompt: str
    answer: str
    grader: str = "text"
    args: dict = dataclasses.field(default_factory=dict)

    def messages(self):
        return {"messages": [{"role": "user", "content": self.prompt},
                             {"role": "assistant", "content": self.answer}]}


def is_held_out(prompt):
    """Whether a prompt belongs to the 1/16 that training never sees."""
    return hashlib.sha256(prompt.encode()).digest()[0] < 16


class Split:
    """Draws values: training from the first part of a stock, held-out items from all of it."""

    def __init__(self, rng, held_out):
        self.rng, self.held_out = rng, held_out

    def pick(self, stock):
        """One value. The last eighth of a stock is for held-out items alone."""
        return stock[self.rng.randrange(self._size(stock))]

    def sample(self, stock, n):
        return self.rng.sample(stock[: self._size(stock)], n)

    def sample_names(self, stock, n):
        """Of which none contains another, so that an answer names exactly one."""
        while True:
            names = self.sample(stock, n)
            if not any(a != b and a.lower() in b.lower() for a in names for b in names):
                return names

    def _size(self, stock):
        return len(stock) if self.held_out else len(stock) - len(stock) // 8


SYLLABLES = ("An Ba Be Bo Da De Di El Fa Ga Ha Io Ja Jo Ka Ke La Le Li Lo Ma Mi Mo Na Ne No "
             "Pa Ra Re Ro Sa Si So Ta Te To Va Vi Wa Yo Za").split()
ENDINGS = "na ra lin dan mir ton vin la bert rik sa nor la ko bel das nia ren mo ris".split()


def shuffled(stock, salt):
    """A fixed order that has nothing to do with the alphabet."""
    return sorted(stock, key=lambda s: hashlib.sha256((salt + s).encode()).digest())


# Far more names than a vocabulary has room for: a name is several tokens, and the model has to
# copy them one by one, as it must with names that it has never seen.
NAMES_EN = shuffled(sorted({a + b + c for a in SYLLABLES for b in ("", *ENDINGS[::3])
                            for c in ENDINGS}), "names")
SURNAMES = "王李张刘陈杨赵黄周吴徐孙马朱胡林郭何高罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰涛明超霞平刚桂文辉玲红宇晨欣雨佳浩然梓涵思远"
NAMES_ZH = shuffled([a + b + c for a in SURNAMES for b in ("", *GIVEN[::3]) for c in GIVEN], "names")

# (English, Chinese), by category.
WORDS = {
    ("fruits", "水果"): [
        ("apple", "苹果"), ("banana", "香蕉"), ("orange", "橙子"), ("grape", "葡萄"),
        ("pear", "梨"), ("peach", "桃子"), ("mango", "芒果"), ("lemon", "柠檬"),
        ("cherry", "樱桃"), ("melon", "甜瓜")],
    ("animals", "动物"): [
        ("cat", "猫"), ("dog", "狗"), ("horse", "马"), ("tiger", "老虎"), ("lion", "狮子"),
        ("rabbit", "兔子"), ("monkey", "猴子"), ("sheep", "羊"), ("cow", "牛"),
        ("elephant", "大象")],
    ("colors", "颜色"): [
        ("red", "红色"), ("blue", "蓝色"), ("green", "绿色"), ("yellow", "黄色"),
        ("black", "黑色"), ("white", "白色"), ("purple", "紫色"), ("brown", "棕色"),
        ("gray", "灰色"), ("pink", "粉色")],
    ("vegetables", "蔬菜"): [
        ("carrot", "胡萝卜"), ("potato", "土豆"), ("tomato", "番茄"), ("onion", "洋葱"),
        ("cabbage", "白菜"), ("cucumber", "黄瓜"), ("spinach", "菠菜"), ("pumpkin", "南瓜")],
    ("countries", "国家"): [
        ("China", "中国"), ("France", "法国"), ("Japan", "日本"), ("Germany", "德国"),
        ("Brazil", "巴西"), ("India", "印度"), ("Canada", "加拿大"), ("Egypt", "埃及"),
        ("Italy", "意大利"), ("Spain", "西班牙")],
    ("sports", "运动"): [
        ("football", "足球"), ("basketball", "篮球"), ("tennis", "网球"), ("swimming", "游泳"),
        ("running", "跑步"), ("volleyball", "排球"), ("badminton", "羽毛球"),
        ("skiing", "滑雪")],
    ("furniture", "家具"): [
        ("table", "桌子"), ("chair", "椅子"), ("bed", "床"), ("desk", "书桌"), ("sofa", "沙发"),
        ("lamp", "台灯"), ("shelf", "书架"), ("mirror", "镜子")],
    ("jobs", "职业"): [
        ("teacher", "老师"), ("doctor", "医生"), ("farmer", "农民"), ("driver", "司机"),
        ("writer", "作家"), ("nurse", "护士"), ("cook", "厨师"), ("singer", "歌手")],
}
ALL_WORDS = shuffled([w[0] for ws in WORDS.values() for w in ws], "words")
ALL_WORDS_ZH = shuffled([w[1] for ws in WORDS.values() for w in ws], "words")
CITIES_EN = shuffled("Beijing Shanghai London Paris Tokyo Berlin Rome Madrid Cairo Sydney Boston "
                     "Chicago Toronto Vienna Oslo Dublin Lima Delhi Seoul Moscow Athens Prague "
                     "Lisbon Geneva".split(), "cities")
CITIES_ZH = shuffled("北京 上海 广州 深圳 杭州 南京 成都 武汉 西安 重庆 天津 苏州 长沙 青岛 大连 厦门 昆明 "
                     "郑州 济南 合肥 福州 宁波 哈尔滨 沈阳".split(), "cities")
GOODS = [("apples", "苹果"), ("pens", "钢笔"), ("books", "书"), ("cups", "杯子"),
         ("tickets", "票"), ("toys", "玩具"), ("cakes", "蛋糕"), ("balls", "球"),
         ("hats", "帽子"), ("notebooks", "本子"), ("eggs", "鸡蛋"), ("stamps", "邮票")]
