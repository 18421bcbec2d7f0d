"""Questions once more, slowly: words, numbers, negation and what they say of two texts, in plain Python.

The words and their vectors are read from the core's own file; what is done with them is written anew.
"""

import math
import re
import struct
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

DIMENSIONS = 256
SHORT = 64
"""Of a vector's dimensions, those by which single words are compared."""
MOST_WORDS = 160
MOST_SIGNS = 32
NUMBER, UNKNOWN = 1 << 30, 1 << 31
CONTENT, ARTICLE, QUESTION, TIME, DEGREE, QUANTITY, JOINT, PERSON, MODAL, BEING, PLACE, FILLER, ASKING, NEGATOR = range(
    14
)
COMPARED = (QUESTION, TIME, DEGREE, QUANTITY, JOINT, PERSON, MODAL, BEING, PLACE)

DIGITS = {
    **{word: number for number, word in enumerate("zero one two three four five six seven eight nine ten".split())},
    **{word: number for number, word in enumerate("eleven twelve thirteen fourteen fifteen sixteen".split(), 11)},
    **{"seventeen": 17, "eighteen": 18, "nineteen": 19, "dozen": 12, "twice": 2, "thrice": 3},
}
TENS = {
    word: 10 * number for number, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
POWERS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
ORDINALS = {
    word: number
    for number, word in enumerate("first second third fourth fifth sixth seventh eighth ninth tenth".split(), 1)
}
MONTHS = "january february march april may june july august september october november december".split()
DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
UNITS = {
    form: group.split("=")[0]
    for group in (
        "usd=$=dollar=dollars=bucks eur=€=euro=euros gbp=£=pound=pounds jpy=¥=yen inr=₹=rupee=rupees cny=yuan=rmb "
        "%=percent=pct ms=millisecond=milliseconds s=sec=secs=second=seconds min=mins=minute=minutes "
        "h=hr=hrs=hour=hours day=days=d week=weeks=wk=wks month=months year=years=yr=yrs km=kilometer=kilometers="
        "kilometre=kilometres m=meter=meters=metre=metres cm=centimeter=centimeters=centimetre=centimetres "
        "mm=millimeter=millimeters=millimetre=millimetres mi=mile=miles ft=feet=foot inch=inches yd=yard=yards "
        "kg=kilo=kilos=kilogram=kilograms g=gram=grams mg=milligram=milligrams lb=lbs oz=ounce=ounces "
        "ton=tons l=liter=liters=litre=litres "
        "ml=milliliter=milliliters=millilitre=millilitres kb=kilobyte=kilobytes mb=megabyte=megabytes "
        "gb=gigabyte=gigabytes tb=terabyte=terabytes degree=degrees"
    ).split()
    for form in group.split("=")
}
IS_BEFORE = set("what who where how when why it that there here he she".split())
SHORTENED = {"wo": "will", "sha": "shall", "ai": "is"}
JOINED = {
    **{f"{word}nt": (word, "not") for word in "do does did is was are were could should would have has had".split()},
    **{"cant": ("can", "not"), "wont": ("will", "not"), "cannot": ("can", "not")},
    **{
        "im": ("i", "am"),
        "ive": ("i", "have"),
        "whats": ("what", "is"),
        "hows": ("how", "is"),
        "wheres": ("where", "is"),
    },
    **{"whos": ("who", "is"), "thats": ("that", "is")},
}
NEGATORS = {*"not no never none nobody nothing neither nor without nowhere".split()}
FILLERS = {*"please kindly really actually basically hi hello thanks".split()}
OPENING = re.compile(
    r"(how to|how (do|can|could|should|would) (i|we)"
    r"|what (is|are) ((the|a|some) )?((best|good|right|proper|correct) )?ways? (for me )?to) "
)
PREFIXES = ("un", "in", "im", "il", "ir", "non", "dis")
DIGIT = frozenset("0123456789")
SYMBOLS = "+*=<>&|^~#@%$€£¥₹"
ADJECTIVES = (1, 2, 3, 45)
"""Numbers of WordNet's files of adjectives and adverbs, plus one."""
MODEL = Path(__file__).parents[3] / "rust/core/src/questions/words.bin"


def fnv(text: str) -> int:
    """FNV-1a of 64 bits, folded to 32."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % (1 << 64)
    return (value ^ value >> 32) & 0xFFFFFFFF


class Words:
    """The file of words."""

    def __init__(self, data: bytes) -> None:
        assert data[:4] == b"TWQ1"
        count, dimensions, slots, opposites, synonyms, lettered = struct.unpack_from("<6I", data, 4)
        assert dimensions == DIMENSIONS
        at = 28 + 2 * slots
        offsets = struct.unpack_from(f"<{count + 1}I", data, at)
        at += 4 * (count + 1)
        letters = data[at : at + lettered].decode()
        at += lettered
        self.pieces = [letters[start:end] for start, end in pairwise(offsets)]
        self.place = {piece: number for number, piece in enumerate(self.pieces)}
        self.scales = struct.unpack_from(f"<{count}f", data, at)
        at += 4 * count
        self.lemmas = struct.unpack_from(f"<{count}H", data, at)
        at += 2 * count
        self.weights, self.classes, self.files = (data[at + k * count : at + (k + 1) * count] for k in range(3))
        at += 3 * count
        self.opposites = set(struct.unpack_from(f"<{opposites}I", data, at))
        at += 4 * opposites
        self.synonyms = set(struct.unpack_from(f"<{synonyms}I", data, at))
        at += 4 * synonyms
        self.values = data[at:]

    def vector(self, number: int) -> list[int]:
        return [
            byte - 256 if byte > 127 else byte for byte in self.values[number * DIMENSIONS : (number + 1) * DIMENSIONS]
        ]

    def split(self, word: str) -> list[int]:
        """The longest pieces from the left; none where they do not cover the word."""
        found: list[int] = []
        at = 0
        if len(word) > 64 or not word.isascii():
            return []
        while at < len(word):
            for end in range(min(len(word), at + 24), at, -1):
                piece = word[at:end] if at == 0 else "##" + word[at:end]
                if piece in self.place:
                    found.append(self.place[piece])
                    at = end
                    break
            else:
                return []
        return found

    def lemma(self, word: int) -> int:
        return self.lemmas[word] if word < NUMBER else word

    def weight(self, word: int) -> float:
        return (self.weights[word] if word < NUMBER else 255) / 255

    def kind(self, word: int) -> int:
        return self.classes[word] if word < NUMBER else CONTENT

    def file(self, word: int) -> int:
        return self.files[word] if word < NUMBER else 0

    def opposed(self, one: int, other: int) -> bool:
        return max(one, other) < NUMBER and (one << 16 | other) in self.opposites

    def alike(self, one: int, other: int) -> bool:
        return max(one, other) < NUMBER and (one << 16 | other) in self.synonyms

    @cached_property
    def shorts(self) -> dict[int, list[int]]:
        return {}

    def close(self, one: int, other: int) -> float:
        """The cosine of two words' first dimensions; 0 of what has no vector."""
        if max(one, other) >= NUMBER:
            return float(one == other)
        left = self.shorts.setdefault(one, self.vector(one)[:SHORT])
        right = self.shorts.setdefault(other, self.vector(other)[:SHORT])
        size = math.sqrt(sum(a * a for a in left) * sum(b * b for b in right))
        return sum(a * b for a, b in zip(left, right, strict=True)) / size if size else 0.0


WORDS = Words(MODEL.read_bytes()) if MODEL.exists() else None


@dataclass
class Raw:
    """A word as it stands."""

    text: str
    capital: bool = False
    first: bool = False
    glued: str = ""
    """What stands right before it: a sign, or nothing."""


def is_ideograph(letter: str) -> bool:
    code = ord(letter)
    return (
        0x3040 <= code <= 0x30FF or 0x3400 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x2FA1F
    )


def is_letter(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LNM"


def folded(text: str) -> list[tuple[str, bool]]:
    """Letters in small, without accents, each with whether it was a capital."""
    found: list[tuple[str, bool]] = []
    for letter in text:
        for part in unicodedata.normalize("NFKD", letter):
            if 0x300 <= ord(part) <= 0x36F:
                continue
            plain = "'" if part in "\u2019\u2018\u02bc" else part
            found.extend((small, plain != plain.lower()) for small in plain.lower())
    return [each for each in found if not 0x300 <= ord(each[0]) <= 0x36F]


def cut(text: str) -> list[Raw]:
    """Words, and signs that count."""
    letters = folded(text)
    found: list[Raw] = []
    at, first, before = 0, True, ""
    while at < len(letters):
        letter, capital = letters[at]
        if not is_letter(letter):
            if letter in SYMBOLS:
                found.append(Raw(letter, glued=before))
            elif letter in ".?!:\n":
                first = True
            before = letter
            at += 1
            continue
        start = at
        at += 1
        if not is_ideograph(letter):
            at = word_end(letters, start)
        word = "".join(each for each, _ in letters[start:at])
        after, at = tail(letters, at)
        expand(found, Raw(word, capital, first, before), after)
        first, before = False, ""
    return found


def word_end(letters: list[tuple[str, bool]], start: int) -> int:
    """Where a word ends; digits go on over points, commas and colons between them."""
    digits = letters[start][0] in DIGIT
    at = start + 1
    while at < len(letters):
        here = letters[at][0]
        if is_letter(here) and not is_ideograph(here):
            digits = digits and here in DIGIT
        elif not (digits and here in ".,:" and at + 1 < len(letters) and letters[at + 1][0] in DIGIT):
            break
        at += 1
    return at


def tail(letters: list[tuple[str, bool]], at: int) -> tuple[str, int]:
    """What an apostrophe joins to a word, if it is the tail of a short form, and where that ends."""
    end = at + 1
    while end < len(letters) and is_letter(letters[end][0]):
        end += 1
    after = "".join(each for each, _ in letters[at + 1 : end])
    if at < len(letters) and letters[at][0] == "'" and after in ("t", "s", "re", "m", "ll", "ve", "d"):
        return after, end
    return "", at


def expand(found: list[Raw], word: Raw, after: str) -> None:
    """What a short form stands for."""
    if after == "t" and word.text.endswith("n"):
        stem = word.text[:-1] if word.text != "can" else "can"
        found += [Raw(SHORTENED.get(stem, stem), word.capital, word.first, word.glued), Raw("not")]
        return
    if word.text in JOINED and not after:
        one, other = JOINED[word.text]
        found += [Raw(one, word.capital, word.first, word.glued), Raw(other)]
        return
    found.append(word)
    full = {"re": "are", "m": "am", "ll": "will", "ve": "have"}.get(after)
    if after == "s" and word.text in IS_BEFORE:
        full = "is"
    if full:
        found.append(Raw(full))


@dataclass
class Number:
    """What a text counts, in one writing."""

    hash: int
    may_lack: bool
    next: int = 0


@dataclass
class Question:
    """A text's words and signs."""

    text: str
    words: list[int] = field(default_factory=list)
    rest: int = 0
    numbers: list[Number] = field(default_factory=list)
    negations: int = 0
    scopes: list[int] = field(default_factory=list)
    names: list[int] = field(default_factory=list)
    said: tuple[int, ...] = ()
    telling: tuple[int, ...] = ()
    has_fillers: bool = False
    vector: list[int] = field(default_factory=list)


def plain_digits(text: str) -> str:
    groups = text.split(",")
    if len(groups) > 1 and len(groups[0]) <= 3 and all(len(group.split(".")[0]) == 3 for group in groups[1:]):
        text = text.replace(",", "")
    return text.lstrip("0") or "0"


def in_words(raw: list[Raw], at: int) -> tuple[int, int]:
    """A number written in words: its value, and how many words it takes; 0 words where there is none."""
    total, part, start = 0, 0, at
    seen = ""
    while at < len(raw):
        word = raw[at].text
        if word in TENS and seen in ("", "power"):
            part, seen = part + TENS[word], "tens"
        elif word in DIGITS and (seen in ("", "power") or (seen == "tens" and 0 < DIGITS[word] < 10)):
            part, seen = part + DIGITS[word], "digit"
        elif word in POWERS and seen:
            part, seen = max(1, part) * POWERS[word], "power"
            if POWERS[word] > 100:
                total, part = min(total + part, 10**15), 0
        elif word in POWERS and at and raw[at - 1].text in ("a", "per"):
            part, seen = POWERS[word], "power"
        elif word == "and" and seen == "power" and at + 1 < len(raw) and raw[at + 1].text in {**TENS, **DIGITS}:
            pass
        else:
            break
        part = min(part, 10**15)
        at += 1
    return total + part, at - start


def in_digits(raw: list[Raw], at: int) -> tuple[str, int, bool]:
    """The same, of a number that begins with a digit."""
    word = raw[at].text
    end = 0
    while end < len(word) and (word[end] in "0123456789" or (word[end] in ".,:")):
        end += 1
    digits, letters = plain_digits(word[:end]), word[end:]
    if raw[at].glued == "-":
        digits = "-" + digits
    if letters in ("st", "nd", "rd", "th"):
        return f"{digits}|th", 1, False
    if letters == "k":
        digits, letters = (digits + "000" if digits.isdigit() else digits + "k"), ""
    taken, letters = with_half_of_day(raw, at, letters)
    hour, _, minute = digits.partition(":")
    if letters in ("am", "pm") and hour.isdigit() and (minute.isdigit() or not minute) and len(hour) < 3:
        return f"{int(hour) % 12 + (12 if letters == 'pm' else 0)}:{minute or '00'}", taken, False
    if letters and letters not in UNITS:
        return word, 1, False
    following = raw[at + 1].text if at + 1 < len(raw) else ""
    if not letters and taken == 1 and following in UNITS:
        letters, taken = following, 2
    unit = UNITS.get(letters, "")
    if at and raw[at - 1].text in "$€£¥₹":
        unit = UNITS[raw[at - 1].text]
    if unit and digits.endswith(".00"):
        digits = digits[:-3]
    return f"{digits}|{unit}" if unit else digits, taken, False


def with_half_of_day(raw: list[Raw], at: int, letters: str) -> tuple[int, str]:
    """How many words a number takes with am or pm behind it, and which."""
    following = raw[at + 1].text if at + 1 < len(raw) else ""
    if not letters and following in ("am", "pm"):
        return 2, following
    if not letters and following in ("a", "p") and at + 2 < len(raw) and raw[at + 2].text == "m":
        return 3, following + "m"
    return 1, letters


def number_at(raw: list[Raw], at: int) -> tuple[str, int, bool] | None:
    """A number in one writing, the words that it takes, and whether a text may say it or not."""
    word = raw[at].text
    if word[0] in "0123456789":
        return in_digits(raw, at)
    value, taken = in_words(raw, at)
    if taken:
        following = raw[at + taken].text if at + taken < len(raw) else ""
        if following in UNITS:
            return f"{value}|{UNITS[following]}", taken + 1, False
        return str(value), taken, value == 1
    if word in ORDINALS:
        return f"{ORDINALS[word]}|th", 1, True
    near = [each.text[0] in "0123456789" for each in raw[max(0, at - 1) : at] + raw[at + 1 : at + 2]]
    if word in MONTHS and (word not in ("march", "may") or any(near)):
        return f"{word}|date", 1, False
    if word.removesuffix("s") in DAYS:
        return f"{word.removesuffix('s')}|date", 1, False
    if any(letter in "0123456789" for letter in word):
        return word, 1, False
    return None


def read(text: str, words: Words) -> Question:
    """A text as a question; without words it has none."""
    raw = cut(text)
    question = Question(text)
    sequence: list[int] = []
    said: list[tuple[int, str]] = []
    awaiting: list[Number] = []
    scope = False
    opening = len(match[0].split()) if (match := OPENING.match(" ".join(each.text for each in raw) + " ")) else 0
    at = 0
    while at < len(raw):
        here = raw[at]
        found = number_at(raw, at)
        if found:
            writing, taken, may_lack = found
            number = fnv(writing)
            question.numbers.append(Number(number, may_lack))
            awaiting = [question.numbers[-1]]
            sequence.append(NUMBER | number & (NUMBER - 1))
            said.append((sequence[-1], ""))
            at += taken
            continue
        pieces = [here.text] if here.text in words.place else []
        word = words.place[here.text] if pieces else UNKNOWN | fnv(here.text) & (UNKNOWN - 1)
        if negates(raw, at):
            question.negations += 1
            scope = True
        elif words.kind(word) == CONTENT:
            if opposed_by_prefix(here.text, words):
                question.negations += 1
            if scope:
                question.scopes.append(words.lemma(word))
                scope = False
        if words.kind(word) in (CONTENT, PERSON) and awaiting:
            awaiting.pop().next = words.lemma(word) + 1
        if here.capital and not here.first and here.text != "i":
            question.names.append(words.lemma(word))
        sequence.append(word)
        if at >= opening:
            said.append((word, here.text))
        at += 1
    bound(question, sequence)
    question.said = (opening > 0, *(word for word, _ in said))
    question.telling = (opening > 0, *(word for word, letters in said if letters not in {"the", *FILLERS}))
    question.has_fillers = any(letters in FILLERS for _, letters in said)
    question.vector = embed(raw, words)
    return question


def bound(question: Question, sequence: list[int]) -> None:
    """Keeps what a question may hold; what is beyond becomes a hash."""
    question.words = sequence[:MOST_WORDS]
    for word in sequence[MOST_WORDS:]:
        question.rest = (question.rest * 0x100000001B3 + word + 1) % (1 << 64)
    if len(question.numbers) > MOST_SIGNS:
        beyond = 0
        for number_ in question.numbers[MOST_SIGNS - 1 :]:
            beyond = (beyond * 0x01000193 + number_.hash) % (1 << 32)
        question.numbers[MOST_SIGNS - 1 :] = [Number(beyond, False)]
    question.names = sorted(set(question.names))[:MOST_SIGNS]
    question.scopes = sorted(question.scopes)[:MOST_SIGNS]


def negates(raw: list[Raw], at: int) -> bool:
    word = raw[at].text
    before = raw[at - 1].text if at else ""
    following = raw[at + 1].text if at + 1 < len(raw) else ""
    if word not in NEGATORS or before == "or":
        return False
    return not (word == "not" and following == "only") and not (word == "no" and following[:1] in [*"0123456789"])


def opposed_by_prefix(text: str, words: Words) -> bool:
    """Whether the word is the opposite of itself without its beginning: unable, insecure."""
    for prefix in PREFIXES:
        base = text[len(prefix) :]
        if not text.startswith(prefix) or base not in words.place:
            continue
        if text not in words.place:
            return len(base) > 3 and words.files[words.place[base]] in ADJECTIVES
        if words.opposed(words.lemma(words.place[text]), words.lemma(words.place[base])):
            return True
    return False


def embed(raw: list[Raw], words: Words) -> list[int]:
    sums = [0.0] * DIMENSIONS
    for each in raw:
        pieces = words.split(each.text)
        for piece in pieces:
            scale = words.scales[piece]
            for place, value in enumerate(words.vector(piece)):
                sums[place] += scale * value
        if not pieces:
            hashed = fnv(each.text)
            for _ in range(16):
                hashed = (hashed * 1664525 + 1013904223) % (1 << 32)
                sums[hashed >> 24] += 0.25 if hashed >> 8 & 1 else -0.25
    largest = max(abs(value) for value in sums)
    return [round(value / largest * 127) for value in sums] if largest else [0] * DIMENSIONS


def cosine(left: list[int], right: list[int]) -> float:
    size = math.sqrt(sum(a * a for a in left) * sum(b * b for b in right))
    return sum(a * b for a, b in zip(left, right, strict=True)) / size if size else 0.0


def agree(one: Question, other: Question) -> bool:
    """Whether numbers and negation are the same."""
    if one.negations != other.negations or one.rest != other.rest:
        return False
    if [number.hash for number in one.numbers] == [number.hash for number in other.numbers]:
        return True
    counts = [Counter(number.hash for number in each.numbers) for each in (one, other)]
    optional = [{number.hash for number in each.numbers if number.may_lack} for each in (one, other)]
    extra = [counts[0] - counts[1], counts[1] - counts[0]]
    if all(extra) or any(set(more) - may for more, may in zip(extra, optional, strict=True)):
        return False
    shared = {*counts[0]} & {*counts[1]}
    orders = [[number for number in each.numbers if number.hash in shared] for each in (one, other)]
    if [number.hash for number in orders[0]] == [number.hash for number in orders[1]]:
        return True
    counted = [sorted((number.next, number.hash) for number in order) for order in orders]
    nexts = {following for following, _ in counted[0]}
    return counted[0] == counted[1] and 0 not in nexts and len(nexts) == len(counted[0])


def lone(left: list[int], right: list[int]) -> list[int]:
    """What the first has and the second has not, as often as it has it more, the last of each."""
    have = Counter(right)
    found = []
    for word in left:
        if have[word]:
            have[word] -= 1
        else:
            found.append(word)
    return found


def same_gist(one: Question, other: Question) -> bool:
    """Whether only words differ that say nothing."""
    if one.said != other.said:
        is_short = min(len(one.telling), len(other.telling)) < 5  # the first tells whether it opens
        if is_short or (one.has_fillers and other.has_fillers) or one.telling != other.telling:
            return False
    return one.names == other.names


def signs(one: Question, other: Question, words: Words) -> list[float]:
    """What the verifier weighs; the same in either order."""
    contents = [[word for word in each.words if words.kind(word) == CONTENT] for each in (one, other)]
    lemmas = [[words.lemma(word) for word in each] for each in contents]
    left, right = sorted(lone(*lemmas)), sorted(lone(lemmas[1], lemmas[0]))
    if left <= right:
        alike, left, right = paired(left, right, words)
    else:
        alike, right, left = paired(right, left, words)
    left_near, right_near = near(left, lemmas[1], words), near(right, lemmas[0], words)
    total = [sum(words.weight(word) for word in each) for each in lemmas]
    missed = [sum(words.weight(word) for word in each) for each in (left, right)]
    soft = [
        sum(words.weight(word) * (1 - close) for word, close in zip(each, nears, strict=True))
        for each, nears in ((left, left_near), (right, right_near))
    ]
    worst = [
        max((words.weight(word) * (1 - close) for word, close in zip(each, nears, strict=True)), default=0.0)
        for each, nears in ((left, left_near), (right, right_near))
    ]
    covered = [1 - part / whole if whole else 1.0 for part, whole in zip(soft, total, strict=True)]
    shared = [1 - part / whole if whole else 1.0 for part, whole in zip(missed, total, strict=True)]
    lone_one = len(left) == 1 and len(right) == 1
    swaps, matched = turned(*lemmas)
    names = [len(lone(one.names, other.names)), len(lone(other.names, one.names))]
    counts = [len(one.words), len(other.words)]
    found = [
        cosine(one.vector, other.vector),
        *(min(shared), max(shared)),
        *(min(covered), max(covered)),
        *(max(worst), min(worst)),
        *(capped(max(len(left), len(right))), capped(min(len(left), len(right)))),
        capped(alike),
        float(any(words.opposed(a, b) for a in everything(one, other, words) for b in everything(other, one, words))),
        capped(min(len(each) for each in lemmas), 12),
        swaps,
        capped(matched, 12),
        float(sorted(words.lemma(word) for word in one.words) == sorted(words.lemma(word) for word in other.words)),
        *(capped(max(names)), capped(min(names))),
        float(lone_one),
        words.close(left[0], right[0]) if lone_one else 0.0,
        float(lone_one and words.file(left[0]) == words.file(right[0]) != 0),
        min(counts) / max(counts),
        capped(max(counts), 40),
        float(bool(one.numbers or other.numbers)),
        float(len(one.numbers) != len(other.numbers)),
        float(one.scopes != other.scopes),
        capped(max(sum(word >= UNKNOWN for word in each) for each in (left, right))),
        capped(run(one, other, words), 12) / max(1, min(max(counts), 12)),
    ]
    for kind in COMPARED:
        kinds = [
            sorted({words.lemma(word) for word in each.words if words.kind(word) == kind}) for each in (one, other)
        ]
        differ = [len(lone(kinds[0], kinds[1])), len(lone(kinds[1], kinds[0]))]
        found += [capped(max(differ), 3), capped(min(differ), 3)]
    return [*found, float(same_gist(one, other))]


NAMES = (
    "cosine shared_least shared_most covered_least covered_most worst_most worst_least lone_most lone_least alike "
    "opposed content_least swaps matched same_bag names_most names_least single single_close "
    "single_kind length_ratio length "
    "numbers numbers_lack scopes unknown_most run "
    + " ".join(
        f"{kind}_most {kind}_least" for kind in "question time degree quantity joint person modal being place".split()
    )
    + " same_gist"
).split()


def capped(count: int, most: int = 6) -> float:
    return float(min(count, most))


def everything(one: Question, other: Question, words: Words) -> list[int]:
    """What only the first says, whatever its kind; at most 24 words."""
    return sorted(lone([words.lemma(w) for w in one.words], [words.lemma(w) for w in other.words]))[:24]


def paired(left: list[int], right: list[int], words: Words) -> tuple[int, list[int], list[int]]:
    """How many have a synonym on the other side, and those that have none."""
    if len(left) > 24 or len(right) > 24:
        return 0, left, right
    rest = list(right)
    lacking = []
    for word in left:
        for place, synonym in enumerate(rest):
            if words.alike(word, synonym):
                del rest[place]
                break
        else:
            lacking.append(word)
    return len(left) - len(lacking), lacking, rest


def near(lacking: list[int], others: list[int], words: Words) -> list[float]:
    """For each word how close the closest of the other text is; 0 beyond the first dozen of two dozen."""
    return [
        max((max(0.0, words.close(word, each)) for each in others[:24]), default=0.0) if place < 12 else 0.0
        for place, word in enumerate(lacking)
    ]


def turned(left: list[int], right: list[int]) -> tuple[float, int]:
    """The share of pairs of words, once in either text, that stand the other way round."""
    places = [right.index(word) for word in left if left.count(word) == 1 and right.count(word) == 1][:24]
    pairs = len(places) * (len(places) - 1) // 2
    wrong = sum(places[a] > places[b] for a in range(len(places)) for b in range(a + 1, len(places)))
    return (wrong / pairs if pairs else 0.0), len(places)


def run(one: Question, other: Question, words: Words) -> int:
    """How many words are the same from the beginning on and up to the end."""
    left, right = ([words.lemma(word) for word in each.words] for each in (one, other))
    most = min(len(left), len(right))
    start = next((at for at in range(most) if left[at] != right[at]), most)
    end = next((at for at in range(most - start) if left[-1 - at] != right[-1 - at]), most - start)
    return start + end


class Verifier:
    """The learned trees, read from the core's file: two heads, without a second similarity and with one."""

    def __init__(self, data: bytes) -> None:
        self.heads = []
        at = 0
        for _ in range(2):
            trees, nodes, points, _, base = struct.unpack_from("<4Hf", data, at)
            at += 12
            roots = struct.unpack_from(f"<{trees}H", data, at)
            at += 2 * trees
            read_nodes = [struct.unpack_from("<4Hf", data, at + 12 * node) for node in range(nodes)]
            at += 12 * nodes
            line = [struct.unpack_from("<2f", data, at + 8 * point) for point in range(points)]
            at += 8 * points
            self.heads.append((base, roots, read_nodes, line))
        assert at == len(data)

    def confidence(self, found: list[float], second: float | None) -> float:
        total, roots, nodes, line = self.heads[second is not None]
        weighed = [*found, second or 0.0]
        for root in roots:
            node = nodes[root]
            while node[0] != 0xFFFF:
                node = nodes[node[1] if weighed[node[0]] <= node[4] else node[2]]
            total += node[4]
        if total < line[0][0]:
            return 0.0
        for (low, least), (high, most) in pairwise(line):
            if total < high:
                return float(least + (most - least) * (total - low) / (high - low))
        return 1.0
