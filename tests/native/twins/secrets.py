"""The slow twin of the scanner for secrets: some forms of keys, read with regular expressions, one after the other.

It knows the forms as their providers publish them, and makes keys of them; no key stands in this file.
"""

import random
import re
import string

ALNUM = string.ascii_letters + string.digits
HEX = string.digits + "abcdef"
UPPER = string.ascii_uppercase + "234567"
URL64 = ALNUM + "_-"

FORMS: list[tuple[str, str, str, int]] = [
    ("aws_access_key_id", "AKIA", UPPER, 16),
    ("aws_access_key_id", "ASIA", UPPER, 16),
    ("digitalocean_token", "dop_v1_", HEX, 64),
    ("github_token", "ghp_", ALNUM, 36),
    ("github_token", "gho_", ALNUM, 36),
    ("npm_token", "npm_", ALNUM, 36),
    ("rubygems_key", "rubygems_", HEX, 48),
    ("stripe_key", "sk_live_", ALNUM, 24),
    ("stripe_key", "rk_test_", ALNUM, 24),
    ("shopify_token", "shpat_", HEX, 32),
    ("xai_key", "xai-", ALNUM, 80),
    ("groq_key", "gsk_", ALNUM, 52),
    ("replicate_token", "r8_", ALNUM, 37),
    ("perplexity_key", "pplx-", ALNUM, 48),
    ("openrouter_key", "sk-or-v1-", HEX, 64),
    ("linear_key", "lin_api_", ALNUM, 40),
    ("easypost_key", "EZAK", ALNUM, 54),
    ("prefect_key", "pnu_", ALNUM, 36),
    ("pulumi_token", "pul-", HEX, 40),
    ("shippo_token", "shippo_test_", HEX, 40),
    ("settlemint_token", "sm_pat_", ALNUM, 16),
    ("gitlab_token", "glpat-", URL64, 20),
    ("google_api_key", "AIza", URL64, 35),
    ("infracost_key", "ico-", ALNUM, 32),
]


def key(form: int, seed: int) -> str:
    """A key of the form at that place of the table; the same for the same seed."""
    _, prefix, alphabet, length = FORMS[form]
    drawn = random.Random(seed)
    return prefix + "".join(drawn.choice(alphabet) for _ in range(length))


def scan(text: str) -> list[tuple[str, int, int]]:
    """Kind, start and end of every key that stands alone: no letter, digit, `_` or `-` on either side."""
    found = []
    for kind, prefix, alphabet, length in FORMS:
        pattern = rf"(?<![\w-]){re.escape(prefix)}[{re.escape(alphabet)}]{{{length}}}(?![\w-])"
        found += [(kind, match.start(), match.end()) for match in re.finditer(pattern, text, re.ASCII)]
    return sorted(found, key=lambda one: one[1])
