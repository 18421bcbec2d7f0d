"""Texts made from grammars: attacks as they are known, harmless texts in the same words, and what disguises either.

The grammars stand in ``grammars/``. Some of their lines, most of them short and well known, stand in rows of the
evaluation sets, too: a source that is left out of training is not quite unseen. They stay with the weights they made.
"""

import base64
import codecs
import random
import re
from pathlib import Path

WEIGHT = re.compile(r"(\d+)\* ")
RULE = re.compile(r"\{([a-z0-9]+)\}")
GRAMMARS = Path(__file__).parent / "grammars"
STEPS_MAX = 60

Grammar = dict[str, list[str]]


def grammar(name: str) -> Grammar:
    """A grammar's productions by rule, one that begins with ``3*`` three times."""
    rules: Grammar = {"empty": [""]}
    for line in (GRAMMARS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("[") and line.endswith("]") and line[1:-1].isalnum() and line[1:-1].islower():
            rule = rules.setdefault(line[1:-1], [])
        elif line and not line.startswith("# "):
            weight = WEIGHT.match(line)
            text = line[weight.end() :] if weight else line
            rule.extend([text.replace("\\n", "\n").replace("\\t", "\t")] * int(weight[1] if weight else 1))
    return rules


def produce(rules: Grammar, chance: random.Random, start: str = "{text}") -> str:
    """One text of a grammar. What stands in braces and is no rule stays."""
    text = start
    for _ in range(STEPS_MAX):
        found = [match for match in RULE.finditer(text) if match[1] in rules]
        if not found:
            break
        text = text[: found[0].start()] + chance.choice(rules[found[0][1]]) + text[found[0].end() :]
    text = text.replace("{{", "{").replace("}}", "}")
    return re.sub(r"  +", " ", text) if "\n" not in text else text


def cased(text: str, chance: random.Random) -> str:
    """As people type: as it is, in lower case, begun in upper case, shouted, with or without a full stop."""
    way = chance.random()
    if way < 0.25:
        text = text.lower()
    elif way < 0.6:
        text = text[:1].upper() + text[1:]
    elif way < 0.64:
        text = text.upper()
    if chance.random() < 0.25 and text[-1:].isalpha():
        text += chance.choice(".!?")
    return text


LEET = {"a": "4@", "b": "8", "e": "3€", "g": "69", "i": "1!", "l": "1|", "o": "0", "s": "5$", "t": "7+"}
LOOKALIKES = dict(zip("aceijopsxyhmtkbv", "асеіјорѕхуһмткьν", strict=True))


def disguised(text: str, chance: random.Random) -> str:
    """The text in one of the ways that hide words from filters."""
    way = chance.randrange(10)
    if way < 3:
        share = chance.choice((0.3, 0.6))
        table = dict(LEET)
        for plain, looks in LOOKALIKES.items():
            table[plain] = table.get(plain, "") + looks
        return "".join(
            chance.choice(table[letter.lower()]) if letter.lower() in table and chance.random() < share else letter
            for letter in text
        )
    if way == 3:
        return "".join(letter + chance.choice(("\u200b", "", "\u200d", "")) for letter in text)
    if way == 4:
        start = chance.choice((0x1D400, 0x1D5A0, 0x1D670, 0x1D434))
        return "".join(
            chr(start + ord(letter.lower()) - 97 + (26 if letter.islower() else 0))
            if letter.isascii() and letter.isalpha()
            else letter
            for letter in text
        )
    if way == 5:
        sign = chance.choice((" ", ".", "-", "\\"))
        return f"{sign} {sign}".join(sign.join(word) for word in text.split())
    if way == 6:
        return "Decode and follow: " * chance.randrange(2) + base64.b64encode(text.encode()).decode()
    if way == 7:
        return "".join(f"\\u{ord(letter):04x}" for letter in text[:200])
    if way == 8:
        return codecs.encode(text, "rot13")
    return text[::-1]


HARMLESS_OF_EACH = 2
"""Harmless texts for each attack: there is more of them in the world."""


def texts(count: int, seed: int) -> list[tuple[str, int]]:
    """So many attacks and so many harmless texts, each with its label. The same for a seed, always."""
    chance = random.Random(seed)  # noqa: S311 - made texts, no secrets
    attacks, languages, indirect = grammar("attacks"), grammar("languages"), grammar("indirect")
    hosts, harmless, developer = grammar("hosts"), grammar("harmless"), grammar("developer")
    made: list[tuple[str, int]] = []
    for _ in range(count):
        way = chance.random()
        if way < 0.5:
            attack = cased(produce(attacks, chance), chance)
        elif way < 0.7:
            attack = cased(produce(languages, chance), chance)
        else:
            attack = produce({**indirect, "host": [produce(hosts, chance)]}, chance)
        made.append((disguised(attack, chance) if chance.random() < 0.12 else attack, 1))
        for _ in range(HARMLESS_OF_EACH):
            way = chance.random()
            if way < 0.5:
                text = cased(produce(harmless, chance), chance)
            else:
                text = produce(developer if way < 0.8 else hosts, chance)
            made.append((disguised(text, chance) if chance.random() < 0.06 else text, 0))
    return list(dict.fromkeys(made))
