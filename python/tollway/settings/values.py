"""What the sections share: names, quantities with their units, secrets and limits."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$", max_length=128)]
"""Names become metric labels and header values: plain ASCII, no blanks."""

PlainName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]*$", max_length=128)]
"""Names of tenants and keys, which are joined by a slash."""

ProviderName = Annotated[Name, Meta(extra={"names": "providers"})]
GuardrailName = Annotated[Name, Meta(extra={"names": "guardrails"})]
LimitsName = Annotated[Name, Meta(extra={"names": "limits"})]
AliasName = Annotated[str, Meta(extra={"names": "models"})]
ModelName = Annotated[str, Meta(extra={"names": "models", "all": "*"})]
"""References: the section must declare the name (or it is the word for all of them)."""

SizeBytes = Annotated[int, Meta(extra={"reads": "size_bytes"})]
Seconds = Annotated[float, Meta(extra={"reads": "duration_s"})]
HostPort = Annotated[str, Meta(pattern=r"^(\[[0-9a-f:.]+\]|[a-z0-9._-]{1,253}):[1-9][0-9]{0,4}$")]
"""A host as addresses name it, in lower case, and its port: ``files.internal:443``."""

HttpAddress = Annotated[str, Meta(pattern=r"^https?://[!-~]+$", max_length=2048)]

ObjectsAddress = Annotated[str, Meta(pattern=r"^(file://[^\s]|(s3|gs|az)://[A-Za-z0-9._-])[!-~]*$", max_length=1024)]

Confidence = Annotated[float, Meta(extra={"reads": "confidence"}, ge=0, le=1)]
Share = Annotated[float, Meta(extra={"reads": "share"}, ge=0.0001, le=1)]
PicoUsd = Annotated[int, Meta(extra={"reads": "picousd"}, ge=0, le=10**18)]
BudgetPicoUsd = Annotated[int, Meta(extra={"reads": "picousd"}, ge=0, le=9 * 10**18)]
PicoUsdPerToken = Annotated[int, Meta(extra={"reads": "picousd_per_token"})]
Millionths = Annotated[int, Meta(extra={"reads": "millionths"}, ge=1, le=1_000_000_000)]
InstantMs = Annotated[int, Meta(extra={"reads": "instant_ms"})]
"""Quantities: written as ``units`` reads them (``reads`` names its function), kept as plain numbers."""

Entity = Literal[
    "email",
    "credit_card",
    "us_ssn",
    "phone",
    "iban",
    "ip",
    "mac_address",
    "crypto",
    "date_of_birth",
    "url_credentials",
    "us_itin",
    "us_passport",
    "us_driver_license",
    "us_bank_number",
    "aba_routing_number",
    "us_npi",
    "us_mbi",
    "medical_license",
    "uk_nhs",
    "uk_nino",
    "uk_passport",
    "uk_driving_licence",
    "uk_postcode",
    "uk_vehicle_registration",
    "de_tax_id",
    "de_tax_number",
    "de_social_security",
    "de_passport",
    "de_id_card",
    "de_health_insurance",
    "de_lanr",
    "de_bsnr",
    "de_vat_id",
    "de_fuehrerschein",
    "de_handelsregister",
    "de_kfz",
    "de_plz",
    "fr_nir",
    "es_nif",
    "es_nie",
    "es_passport",
    "it_fiscal_code",
    "it_vat_code",
    "it_driver_license",
    "it_identity_card",
    "it_passport",
    "pl_pesel",
    "pl_nip",
    "in_aadhaar",
    "in_pan",
    "in_gstin",
    "in_voter",
    "in_passport",
    "in_vehicle_registration",
    "au_tfn",
    "au_abn",
    "au_acn",
    "au_medicare",
    "sg_nric_fin",
    "sg_uen",
    "br_cpf",
    "br_cnpj",
    "kr_rrn",
    "kr_frn",
    "kr_brn",
    "kr_passport",
    "kr_driver_license",
    "th_tnin",
    "tr_national_id",
    "tr_license_plate",
    "se_personnummer",
    "se_organisationsnummer",
    "fi_personal_identity_code",
    "ng_nin",
    "ng_vehicle_registration",
    "za_id_number",
    "ca_sin",
    "ph_tin",
    "mx_curp",
    "mx_rfc",
    "nl_bsn",
    "be_national_number",
    "pt_nif",
    "ch_ahv",
    "at_social_security",
    "dk_cpr",
    "no_fodselsnummer",
    "ie_pps",
    "cn_id_card",
    "jp_my_number",
    "hk_id_card",
    "tw_national_id",
]
"""The kinds of personal data that ``tollway._native.pii`` knows, in its order."""

Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class Secret(msgspec.Struct, frozen=True):
    """A text that no log, error or traceback shows. An empty one is a variable that was left empty."""

    text: str

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self.text

    def __bool__(self) -> bool:
        return bool(self.text)

    def __repr__(self) -> str:
        return "Secret(…)" if self.text else "Secret()"

    __str__ = __repr__


DailyCount = Annotated[int, Meta(ge=1, le=1_000_000_000_000)]


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits, eight at most; one that is left out does not limit."""

    rpm: Annotated[Count | None, Meta(description="Requests in any 60 seconds.")] = None
    tpm: Annotated[Count | None, Meta(description="Tokens, prompt and completion, in any 60 seconds.")] = None
    concurrency: Annotated[Count | None, Meta(description="Calls under way at once.")] = None
    rps: Annotated[Count | None, Meta(description="Requests in any second.")] = None
    rph: Annotated[Count | None, Meta(description="Requests in any hour.")] = None
    rpd: Annotated[Count | None, Meta(description="Requests in any 24 hours.")] = None
    tps: Annotated[Count | None, Meta(description="Tokens in any second.")] = None
    tph: Annotated[DailyCount | None, Meta(description="Tokens in any hour.")] = None
    tpd: Annotated[DailyCount | None, Meta(description="Tokens in any 24 hours.")] = None
    input_tps: Annotated[Count | None, Meta(description="Tokens of prompts in any second.")] = None
    input_tpm: Annotated[Count | None, Meta(description="Tokens of prompts in any 60 seconds.")] = None
    input_tph: Annotated[DailyCount | None, Meta(description="Tokens of prompts in any hour.")] = None
    input_tpd: Annotated[DailyCount | None, Meta(description="Tokens of prompts in any 24 hours.")] = None
    output_tps: Annotated[Count | None, Meta(description="Tokens of answers in any second.")] = None
    output_tpm: Annotated[Count | None, Meta(description="Tokens of answers in any 60 seconds.")] = None
    output_tph: Annotated[DailyCount | None, Meta(description="Tokens of answers in any hour.")] = None
    output_tpd: Annotated[DailyCount | None, Meta(description="Tokens of answers in any 24 hours.")] = None
