"""The detectors once more, slowly: regular expressions, whole-text searches, big integers and the standard library.

Six entities as they stand in sentences; and numbers of countries, made from their offices' rules for check digits.

Offsets are of bytes inside, of code points outside. Nothing here is linear, and nothing is shared with the core but the
rules.
"""

import ipaddress
import re
from dataclasses import dataclass

ENTITIES = ("email", "credit_card", "us_ssn", "phone", "iban", "ip")

Finding = tuple[str, int, int]

WORD_BYTES = rb"[0-9A-Za-z_]"
SPACE = rb"(?: |\xc2\xa0|\xe2\x80[\x87\x89\x8a\xaf])"
DASH = rb"(?:-|\xe2\x80[\x90-\x95]|\xe2\x88\x92)"
EITHER = rb"(?:" + SPACE + rb"|" + DASH + rb")"
GAPS = [
    ("close", rb"\)" + EITHER + rb"{0,2}"),
    ("open", EITHER + rb"?\("),
    ("wide", SPACE + EITHER + SPACE + rb"?"),
    ("space", SPACE),
    ("dash", DASH),
    ("dot", rb"\."),
    ("slash", rb"/"),
]
EXTENSION = re.compile(rb" ?(?:x|ext\.?|extension) ?\d{1,6}(?!" + WORD_BYTES + rb")", re.I)
ROW_START = re.compile(rb"(?:(?<!" + WORD_BYTES + rb")|(?<=\\[nrt]))\d")

PHONE = set(
    "call calling cel cell cellphone cellular celular cep contact desk dial dialing emergency fax faxnumber handy "
    "handynummer helpline hotline landline messages mob mobil mobile mobilenumber mobiles mobilnummer movil móvil "
    "pager ph phone phoneno phonenumber phones reach reached ring rufnummer sms tel telefon telefone telefonnr "
    "telefonnummer telefono teléfono telephone telephones telepono telno texting téléphone viber voicemail "
    "whatsapp".split()
)
TOPICS = {
    "phone": PHONE,
    "card": set(
        "amex card cardnumber cards cc ccnum credit creditcard debit diners discover jcb maestro mastercard pan "
        "payment unionpay visa".split()
    ),
    "ssn": set("security social socialsecurity ss ssn ssns".split()),
    "article": set("asin barcode counter ean gtin imei isbn issn meter part reading scan serial sku upc".split()),
    "version": set("build driver firmware release upgrade ver version versions".split()),
    "other": set(
        "account acct amount article bic budget bytes calculate case code commit compute convert cost count date "
        "dollars epoch error etag eur flight hash host iban id ids inv invoice ip item items job line lines "
        "model order orders otp page pages parcel pin plz po points population port postal postcode price "
        "product record records ref reference request room row rows score seat server sha shipment size subnet "
        "sum ticket tickets time timestamp total trace track tracking transaction ts unix usd year years zip "
        "zipcode".split()
    ),
}
PHONE_AFTER = set("cell ext extension fax home landline mob mobile office phone tel telephone whatsapp work".split())
POSSESSIVE = set("contact her his my new our their your".split())
TALK = set("called calls message text".split())
TOWARDS = set("from her him me them to us".split())

IBAN_LENGTHS = dict(
    item.split("=")
    for item in (
        "AD=24 AE=23 AL=28 AT=20 AZ=28 BA=20 BE=16 BG=22 BH=22 BI=27 BR=29 BY=28 CH=21 CR=22 CY=28 CZ=24 DE=22 DJ=27 "
        "DK=18 DO=28 EE=20 EG=29 ES=24 FI=18 FK=18 FO=18 FR=27 GB=22 GE=22 GI=23 GL=18 GR=27 GT=28 HN=28 HR=21 HU=28 "
        "IE=22 IL=23 IQ=23 IS=26 IT=27 JO=30 KW=30 KZ=20 LB=28 LC=32 LI=21 LT=20 LU=20 LV=21 LY=25 MC=27 MD=24 ME=22 "
        "MK=19 MN=20 MR=27 MT=31 MU=30 NI=28 NL=18 NO=15 OM=23 PK=24 PL=28 PS=29 PT=25 QA=29 RO=24 RS=22 RU=33 SA=24 "
        "SC=31 SD=18 SE=24 SI=19 SK=24 SM=27 SO=23 ST=25 SV=28 TL=23 TN=24 TR=26 UA=29 VA=22 VG=24 XK=20 YE=30"
    ).split()
)


def scan(text: str) -> list[Finding]:
    """Every entity in the text, in order, without overlaps."""
    data = text.encode()
    found = [*emails(text), *v6_addresses(data), *numbers(data)]
    found.sort(key=lambda finding: (finding[1], -finding[2], ENTITIES.index(finding[0])))
    kept: list[Finding] = []
    for finding in found:
        if not kept or finding[1] >= kept[-1][2]:
            kept.append(finding)
        elif finding[2] - finding[1] > kept[-1][2] - kept[-1][1]:
            kept[-1] = finding
    return [(entity, len(data[:start].decode()), len(data[:end].decode())) for entity, start, end in kept]


# E-mail


def letter(char: str) -> bool:
    return (char.isascii() and char.isalpha()) or ("\u00c0" <= char < "\u0800" and alphabetic(char))


def alphabetic(char: str) -> bool:
    """Unicode's Alphabetic, of which `isalpha` leaves out the combining vowel signs."""
    return (
        char.isalpha()
        or re.fullmatch(
            r"[\u0345\u0363-\u036f\u05b0-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
            r"\u0610-\u061a\u064b-\u0657\u0659-\u065f\u0670\u06d6-\u06dc\u06e1-\u06e4\u06e7\u06e8\u06ed\u0711\u0730-\u073f"
            r"\u07a6-\u07b0]",
            char,
        )
        is not None
    )


def emails(text: str) -> list[Finding]:
    found = []
    for at in (index for index, char in enumerate(text) if char == "@"):
        start = at
        while start > 0 and (letter(text[start - 1]) or text[start - 1] in "0123456789._%+-'&~"):
            if len(text[start - 1 : at].encode()) > 64:
                break
            start -= 1
        while start < at and not (letter(text[start]) or text[start] in "0123456789_"):
            start += 1
        if text[:start].endswith("\\") and text[start:at][:1] in ("n", "r", "t"):
            start += 1
        local = text[start:at]
        end = at + 1
        while end < len(text) and (letter(text[end]) or text[end] in "0123456789.-"):
            if len(text[at + 1 : end].encode()) >= 253:
                break
            end += 1
        domain = text[at + 1 : end].rstrip(".-")
        end = at + 1 + len(domain)
        *labels, top = domain.split(".")
        good = (
            local
            and not local.endswith(".")
            and ".." not in local
            and labels
            and all(label and label[0] != "-" and label[-1] != "-" for label in labels)
            and (top.startswith("xn--") or (len(top) >= 2 and all(map(letter, top))))
            and top.lower() not in ("css", "gif", "jpeg", "jpg", "js", "png", "svg", "webp")
            and not text[end:].startswith(("(", "_", "@"))
            and not (local == "git" and text[end:].startswith(":"))
        )
        if good:
            found.append(("email", len(text[:start].encode()), len(text[:end].encode())))
    return found


# Words beside a number


def topic_before(data: bytes, at: int) -> tuple[str, int] | None:
    floor = max(0, at - 48)
    following = ""
    for match in reversed(list(re.finditer(rb"[A-Za-z\x80-\xff]+", data[floor:at]))):
        start, end = floor + match.start(), floor + match.end()
        if start == floor > 0 and re.match(rb"[A-Za-z\x80-\xff]", data[floor - 1 : floor]):
            return None
        escaped = data[start - 1 : start] == b"\\" and data[start : start + 1] in (b"n", b"r", b"t")
        word = lower(data[start + escaped : end])
        if following in ("number", "numbers", "no"):
            claimed = word in POSSESSIVE
        else:
            claimed = word in TALK and following in TOWARDS
        if claimed:
            return "phone", at - end
        for topic, words in TOPICS.items():
            if word in words:
                return topic, at - end
        following = word
    return None


def phone_follows(data: bytes, at: int) -> bool:
    match = re.match(rb"[ ()\-:,]*([A-Za-z\x80-\xff]*)", data[at : at + 24])
    return match is not None and lower(match[1]) in PHONE_AFTER


def lower(word: bytes) -> str:
    try:
        return re.sub(rb"[A-Z]", lambda letter: letter[0].lower(), word).decode()
    except UnicodeDecodeError:
        return ""


# Rows of digit groups


@dataclass
class Row:
    data: bytes
    groups: list[tuple[int, int, str]]

    def digits(self, group: int) -> bytes:
        if not 0 <= group < len(self.groups):
            return b""
        start, end, _ = self.groups[group]
        return self.data[start:end]

    def gap(self, group: int) -> str:
        return self.groups[group][2] if group < len(self.groups) else "edge"

    def lengths(self, first: int, count: int) -> list[int]:
        return [len(self.digits(group)) for group in range(first, first + count)]

    def start(self, group: int) -> int:
        return self.groups[group][0]

    def end(self, group: int) -> int:
        return self.groups[group][1]

    def gaps(self, first: int, count: int) -> list[str]:
        return [self.gap(group) for group in range(first + 1, first + count)]


def follows_word(data: bytes, at: int) -> bool:
    before = data[max(0, at - 2) : at]
    return re.search(WORD_BYTES + rb"\Z", before) is not None and re.fullmatch(rb"\\[nrt]", before) is None


def read_row(data: bytes, start: int) -> tuple[Row, int]:
    row, gap = Row(data, []), "edge"
    while True:
        digits = re.compile(rb"[0-9]+").match(data, start)
        assert digits is not None
        end = digits.end()
        if re.match(WORD_BYTES, data[end : end + 1]) and not EXTENSION.match(data, end):
            return row, end
        row.groups.append((start, end, gap))
        for gap, pattern in GAPS:  # noqa: B007 - the loop's winner is used behind it
            if match := re.compile(pattern + rb"(?=[0-9])").match(data, end):
                start = match.end()
                break
        else:
            return row, end


def numbers(data: bytes) -> list[Finding]:
    found: list[Finding] = []
    at = 0
    while match := re.compile(rb"[0-9]").search(data, at):
        digit = match.start()
        if follows_word(data, digit):
            end = iban_end(data, digit - 2)
            if end:
                found.append(("iban", digit - 2, end))
            at = end or word_end(data, digit)
            continue
        row, end = read_row(data, digit)
        group = 0
        while group < len(row.groups):
            for entity, detect in (("credit_card", card), ("ip", v4_address), ("us_ssn", ssn), ("phone", phone)):
                if result := detect(row, group):
                    groups, start, stop = result
                    found.append((entity, start, stop))
                    group += groups
                    break
            else:
                group += 1
        at = word_end(data, end)
    return found


def word_end(data: bytes, at: int) -> int:
    match = re.compile(WORD_BYTES + rb"*").match(data, at)
    assert match is not None
    return match.end()


Match = tuple[int, int, int]


# IBAN


def iban_end(data: bytes, start: int) -> int | None:
    if start < 0 or not re.match(rb"[A-Za-z]{2}", data[start : start + 2]) or follows_word(data, start):
        return None
    length = IBAN_LENGTHS.get(data[start : start + 2].decode().upper())
    if length is None:
        return None
    match = re.compile(rb"[A-Za-z0-9]{4}(?:[ -]?[A-Za-z0-9]){%d}(?!%s)" % (int(length) - 4, WORD_BYTES)).match(
        data, start
    )
    if match is None:
        return None
    number = re.sub(rb"[ -]", b"", match[0]).decode()
    if number not in (number.upper(), number.lower()) or sum(map(str.isdigit, number)) < 8:
        return None
    as_digits = "".join(str(int(char, 36)) for char in number[4:] + number[:4])
    return match.end() if int(as_digits) % 97 == 1 else None


# Cards


def luhn(number: str) -> bool:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number))]
    return sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0


def ean(number: str) -> bool:
    return sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(reversed(number))) % 10 == 0


ISSUERS = [
    (r"4", (13, 16, 19)),
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),
    (r"5[06-8]|6", (16,)),
    (r"34|37|1800|2131", (15,)),
    (r"30[0-5]|3095|36|38|39", range(14, 20)),
    (r"6011|64[4-9]|65|62|81|352[89]|35[3-8]|220[0-4]", range(16, 20)),
]


def card(row: Row, first: int) -> Match | None:
    if row.gap(first) == "dot":
        return None
    for count in (5, 4, 3, 2, 1):
        if first + count <= len(row.groups) and laid_out(row, first, count) and is_card(row, first, count):
            return count, row.start(first), row.end(first + count - 1)
    return None


def laid_out(row: Row, first: int, count: int) -> bool:
    lengths, gaps, after = row.lengths(first, count), row.gaps(first, count), row.gap(first + count)
    if not 12 <= sum(lengths) <= 19:
        return count == 1 and sum(lengths) >= 12 and after != "dot"
    if count == 1:
        return after != "dot"
    return (
        lengths[0] in (4, 6)
        and len(set(gaps)) == 1
        and gaps[0] in ("space", "dash")
        and all(3 <= length <= 6 for length in lengths[1:-1])
        and lengths[-1] <= 7
        and not (gaps[0] == "dash" and after == "dash")
    )


def is_card(row: Row, first: int, count: int) -> bool:
    number = b"".join(row.digits(group) for group in range(first, first + count)).decode()
    if len(number) > 19 or not luhn(number):
        return False
    topic = (topic_before(row.data, row.start(first)) or (None,))[0]
    if topic == "card":
        return True
    if topic == "article" and count == 1:
        return False
    certain = any(re.match(head, number) and len(number) in lengths for head, lengths in ISSUERS)
    return certain and not (len(number) == 13 and ean(number))


# Social security numbers


def ssn(row: Row, first: int) -> Match | None:
    start = row.start(first)
    before, after = row.gap(first), row.gap(first + 3)
    if re.search(WORD_BYTES + rb"-\Z", row.data[max(0, start - 2) : start]) or before in ("dash", "dot", "slash"):
        return None
    claimed = (topic_before(row.data, start) or (None,))[0] == "ssn"
    if row.lengths(first, 3) == [3, 2, 4] and row.gap(first + 1) == row.gap(first + 2):
        count = 3
        gap = row.gap(first + 1)
        alone = before != "space" and after != "space"
        if not (gap == "dash" and after not in ("dash", "dot")) and not (gap == "space" and (alone or claimed)):
            return None
    elif len(row.digits(first)) == 9 and row.gap(first + 1) not in ("dash", "dot") and claimed:
        count = 1
    else:
        return None
    digits = b"".join(row.digits(group) for group in range(first, first + count))
    if not re.fullmatch(rb"(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}", digits):
        return None
    return count, start, row.end(first + count - 1)


# IP addresses


def v4_address(row: Row, first: int) -> Match | None:
    if row.gaps(first, 4) != ["dot"] * 3 or "dot" in (row.gap(first), row.gap(first + 4)):
        return None
    start, end = row.start(first), row.end(first + 3)
    try:
        ipaddress.IPv4Address(row.data[start:end].decode())
    except ValueError:
        return None
    before, after = row.data[max(0, start - 2) : start], row.data[end : end + 2]
    named = re.fullmatch(WORD_BYTES + rb"[/.-]", before) or re.fullmatch(rb"[=~<>!^]=", before)
    topic = topic_before(row.data, start)
    if named or re.match(rb"[-+][A-Za-z]", after) or (topic and topic[0] == "version" and topic[1] <= 16):
        return None
    return 4, start, prefix_end(row.data, end, 32)


def prefix_end(data: bytes, end: int, longest: int) -> int:
    match = re.compile(rb"/([0-9]{1,3})(?![0-9A-Za-z_/])").match(data, end)
    return match.end() if match and int(match[1]) <= longest else end


def v6_addresses(data: bytes) -> list[Finding]:
    found = []
    for match in re.finditer(rb"[0-9A-Fa-f:.]+", data):
        if b":" not in match[0]:
            continue
        start, end = match.span()
        while data[start:end].endswith(b".") or (
            data[start:end].endswith(b":") and not data[start:end].endswith(b"::")
        ):
            end -= 1
        if data[start:end].startswith(b":") and not data[start:end].startswith(b"::"):
            start += 1
        elif follows_word(data, start):
            continue
        address = data[start:end].decode()
        if len(address) > 45 or re.match(WORD_BYTES, data[end : end + 1]):
            continue
        try:
            ipaddress.IPv6Address(address)
        except ValueError:
            continue
        subscript = re.search(rb"[0-9A-Za-z_)\]]\[\Z", data[max(0, start - 2) : start])
        groups = [group for group in address.split(":") if group]
        plain = len(groups) > 1 or address == "::1" or "." in address
        if re.search("[0-9]", address) and not subscript and plain:
            found.append(("ip", start, prefix_end(data, end, 128)))
    return found


# Telephones


COUNTRIES = [
    (r"1|7", 11, 11),
    (r"3[1-4]|41|48|51|56|60|61|66|93|94", 10, 11),
    (r"45|47|65", 10, 10),
    (r"30|44|52|57|58|63|82|84|9[0-2]|98", 11, 12),
    (r"20|27|36|46|53|54|55|64|81|86|95", 10, 13),
    (r"39|40|43|49|62", 8, 14),
    (
        r"21[12368]|2[2-4]\d|25[0-8]|26\d|29[01789]|35\d|37\d|38[0-35-79]|42[013]|50\d|59\d|6[78]\d|69[0-2]|80[08]|85[0-6]"
        r"|87[08]|88[0-368]|9[67]\d|99[2-8]",
        8,
        13,
    ),
]


def phone(row: Row, first: int) -> Match | None:
    data = row.data
    start = row.start(first)
    bracket = data[start - 1 : start] == b"(" and start > 0
    start -= bracket
    plus = start > 0 and data[start - 1 : start] == b"+"
    start -= plus
    if not bracket and plus and row.gap(first + 1) == "close" and start > 0 and data[start - 1 : start] == b"(":
        bracket = True
        start -= 1
    if row.gap(first) not in ("edge", "space", "wide", "open", "slash") or glued(row, start, first):
        return None
    if plus:
        count = international(row, first, 0)
    else:
        count = national(row, first, bracket) or announced(row, first, start)
    if not count:
        return None
    end = row.end(first + count - 1)
    if re.match(rb"-" + WORD_BYTES, data[end : end + 2]):
        return None
    if first + count == len(row.groups) and (match := EXTENSION.match(data, end)):
        end = match.end()
    return count, start, end


def glued(row: Row, start: int, first: int) -> bool:
    before = row.data[:start]
    return bool(
        follows_word(row.data, start)
        or before.endswith((b"$", "€".encode(), "£".encode()))
        or re.search(WORD_BYTES + rb"-\Z", before[-2:])
        or (before.endswith(b"/") and first == 0)
    )


def international(row: Row, first: int, skip: int) -> int | None:
    digits = row.digits(first)[skip:].decode()
    bounds = next((bounds for pattern, *bounds in COUNTRIES if re.match(pattern, digits)), None)
    if bounds is None:
        return None
    shortest, longest = bounds
    total, count = len(digits), 1
    while row.gap(first + count) in ("space", "dash", "dot", "slash", "open", "close"):
        group = row.digits(first + count)
        trunk = row.gap(first + count) == "open" and group == b"0"
        if not trunk and total + len(group) > longest:
            if row.gap(first + count) in ("dash", "dot"):
                return None
            break
        total += 0 if trunk else len(group)
        count += 1
    return count if shortest <= total <= longest else None


def national(row: Row, first: int, bracket: bool) -> int | None:
    count = american(row, first, bracket) or with_trunk_prefix(row, first, bracket) or with_exit_code(row, first)
    topic = topic_before(row.data, row.start(first))
    return count if not topic or topic[0] == "phone" or topic[1] > 16 else None


def alone_before(row: Row, first: int) -> bool:
    start = row.start(first)
    return row.gap(first) != "space" and not re.fullmatch(rb"[0-9] ", row.data[max(0, start - 2) : start])


def with_exit_code(row: Row, first: int) -> int | None:
    if not row.digits(first).startswith(b"00") or not alone_before(row, first):
        return None
    count = international(row, first, 2)
    return count if count and count > 2 else None


def american(row: Row, first: int, bracket: bool) -> int | None:
    coded = row.digits(first) == b"1" and row.gap(first + 1) in ("space", "dash", "dot", "open")
    area = first + coded
    if row.lengths(area, 3) == [3, 3, 4] and row.gap(area + 2) in ("space", "dash", "dot"):
        count = 3
    elif row.lengths(area, 2) == [3, 7] and bracket and row.gap(area + 1) == "close":
        count = 2
    else:
        return None
    after = row.gap(area + count)
    spaced = set(row.gaps(area, count)) == {"space"} and not coded
    if (
        row.gap(area + 1) not in ("space", "dash", "dot", "close")
        or row.digits(area).startswith(b"0")
        or row.digits(area + 1).startswith(b"0")
        or after in ("dash", "dot", "slash")
        or (spaced and "space" in (row.gap(first), after))
    ):
        return None
    return coded + count


def with_trunk_prefix(row: Row, first: int, bracket: bool) -> int | None:
    if not re.match(rb"0(?!0)", row.digits(first)):
        return None
    separator = row.gap(first + (2 if bracket else 1))
    count, total = 1, len(row.digits(first))
    while first + count < len(row.groups) and total <= 15:
        gap = row.gap(first + count)
        if gap != separator and not (bracket and count == 1 and gap == "close"):
            break
        total += len(row.digits(first + count))
        count += 1
    if row.gap(first + count) in ("dash", "dot", "slash"):
        return None
    lengths = row.lengths(first, count)
    grouped = (
        count >= 3
        and 9 <= total <= 11
        and all(2 <= length <= 4 for length in lengths[1:])
        and not (count == 3 and lengths[1] == 2)
        and not (lengths[-2] == 4 and lengths[-1] < 3)
    )
    if bracket:
        good = row.gap(first + 1) == "close" and 8 <= total <= 12 and lengths[0] <= 6
    elif separator == "space":
        good = grouped and alone_before(row, first)
    elif separator == "dash":
        good = grouped
    elif separator == "dot":
        good = lengths == [2] * 5
    elif separator == "edge":
        good = 10 <= total <= 11 and alone_before(row, first) and not isbn10(row.digits(first))
    else:
        good = False
    return count if good else None


def isbn10(digits: bytes) -> bool:
    return len(digits) == 10 and sum((digit - 48) * (10 - place) for place, digit in enumerate(digits)) % 11 == 0


def announced(row: Row, first: int, start: int) -> int | None:
    count = total = 0
    while first + count < len(row.groups) and total + len(row.digits(first + count)) <= 15:
        gap = row.gap(first + count)
        if count and (gap == "wide" or (gap == "slash" and not row.digits(first).startswith(b"0"))):
            break
        total += len(row.digits(first + count))
        count += 1
    if not count or total < 7:
        return None
    end = row.end(first + count - 1)
    lengths = row.lengths(first, count)
    if (
        row.gap(first + count) in ("dash", "dot")
        or row.data[end : end + 1] == b"%"
        or is_date(row, first, count)
        or (count == 2 and row.gap(first + 1) == "dot")
        or set(lengths) == {1}
    ):
        return None
    topic = topic_before(row.data, start)
    if topic and topic[0] == "phone":
        said = topic[1] <= 2 or row.data[max(0, start - 1) : start] != b"#"
    elif topic and topic[1] <= 16:
        said = False
    else:
        said = phone_follows(row.data, end)
    return count if said else None


def is_date(row: Row, first: int, count: int) -> bool:
    if count < 3 or len(set(row.gaps(first, 3))) != 1:
        return False
    groups = [row.digits(group) for group in range(first, first + 3)]

    def is_year(digits: bytes) -> bool:
        return len(digits) == 4 and 1800 <= int(digits) < 2200

    def is_day(digits: bytes) -> bool:
        return 1 <= int(digits) <= 31

    return (is_year(groups[0]) and is_day(groups[1]) and is_day(groups[2])) or (
        is_year(groups[2]) and is_day(groups[0]) and is_day(groups[1])
    )


# Numbers of countries: from the digits that are free to the number with its check digits


def pesel(serial: int, day: int, month: int, year: int) -> str:
    """Poland: a date of birth of the twentieth century, a serial of four digits, a check digit."""
    free = f"{year:02}{month:02}{day:02}{serial:04}"
    return free + str(-sum(int(digit) * weight for digit, weight in zip(free, (1, 3, 7, 9) * 3, strict=False)) % 10)


def cpf(free: int) -> str:
    """Brazil: nine digits, two check digits modulo 11."""
    digits = f"{free:09}"
    for _ in range(2):
        rest = sum(int(digit) * (len(digits) + 1 - place) for place, digit in enumerate(digits)) * 10 % 11
        digits += str(rest % 10)
    return digits


def nif(free: int) -> str:
    """Spain: eight digits and the letter of the remainder modulo 23."""
    return f"{free:08}" + "TRWAGMYFPDXBNJZSQVHLCKE"[free % 23]


def nhs(free: int) -> str | None:
    """Britain: nine digits, a check digit modulo 11; some have none."""
    check = -sum(int(digit) * (10 - place) for place, digit in enumerate(f"{free:09}")) % 11
    return None if check == 10 else f"{free:09}{check}"


def nir(free: int) -> str:
    """France: thirteen digits, of which the first and the month are given here, and 97 less the remainder."""
    digits = f"1{free // 10**8 % 100:02}05{free % 10**8:08}"
    return digits + f"{97 - int(digits) % 97:02}"


def vat(free: int) -> str:
    """Germany: eight digits and the check digit of ISO 7064 MOD 11,10."""
    product = 10
    for digit in f"{free:08}":
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return f"DE{free:08}{(11 - product) % 10}"
