//! Model providers, and what stands around models.

use super::super::form::Part::{Run, Text, Uuid};
use super::super::form::{Form, form};
use super::super::kind::Kind;
use super::super::set::{ALNUM, HEX, LETTER, LOWER, UPPER, URL64, WORD};

pub(super) const FORMS: &[Form] = &[
    form(Kind::OpenaiKey, "sk-proj-", &[Run(URL64, 40, 200)]).floor(35),
    form(Kind::OpenaiKey, "sk-svcacct-", &[Run(URL64, 40, 200)]).floor(35),
    form(Kind::OpenaiKey, "sk-admin-", &[Run(URL64, 40, 200)]).floor(35),
    form(Kind::OpenaiKey, "sk-None-", &[Run(URL64, 40, 200)]).floor(35),
    form(Kind::OpenaiKey, "sess-", &[Run(ALNUM, 40, 40)]).floor(35).strict(),
    form(Kind::AnthropicKey, "sk-ant-api", &[Run(URL64, 95, 130)]).floor(35),
    form(Kind::AnthropicKey, "sk-ant-admin", &[Run(URL64, 95, 130)]).floor(35),
    form(Kind::AnthropicKey, "sk-ant-oat", &[Run(URL64, 90, 130)]).floor(35),
    form(Kind::AnthropicKey, "sk-ant-ort", &[Run(URL64, 90, 130)]).floor(35),
    form(Kind::AnthropicKey, "sk-ant-sid", &[Run(URL64, 80, 160)]).floor(35),
    form(Kind::OpenrouterKey, "sk-or-v1-", &[Run(HEX, 64, 64)]),
    form(Kind::LangfuseKey, "sk-lf-", &[Uuid]),
    form(Kind::ElevenlabsKey, "sk_", &[Run(HEX, 48, 48)]).floor(30),
    // DeepSeek, Moonshot, Alibaba's DashScope, Stability, many gateways, and OpenAI's first form.
    form(Kind::ModelProviderKey, "sk-", &[Run(ALNUM, 32, 64)])
        .floor(33)
        .strict(),
    form(Kind::XaiKey, "xai-", &[Run(ALNUM, 70, 90)]).floor(35),
    form(Kind::GroqKey, "gsk_", &[Run(ALNUM, 48, 60)]).floor(35),
    form(Kind::HuggingfaceToken, "hf_", &[Run(ALNUM, 34, 40)]),
    form(Kind::HuggingfaceToken, "api_org_", &[Run(LETTER, 34, 34)]),
    form(Kind::ReplicateToken, "r8_", &[Run(ALNUM, 37, 37)])
        .floor(30)
        .strict(),
    form(Kind::PerplexityKey, "pplx-", &[Run(ALNUM, 48, 64)]).floor(30),
    form(Kind::TogetherKey, "tgp_v1_", &[Run(URL64, 40, 50)]).floor(30),
    form(Kind::FireworksKey, "fw_", &[Run(ALNUM, 22, 32)])
        .floor(35)
        .strict(),
    form(Kind::CerebrasKey, "csk-", &[Run(LOWER, 40, 64)]).floor(35),
    form(Kind::NvidiaKey, "nvapi-", &[Run(URL64, 60, 80)]).floor(35),
    form(
        Kind::LangsmithKey,
        "lsv2_pt_",
        &[Run(HEX, 32, 32), Text("_"), Run(HEX, 10, 10)],
    ),
    form(
        Kind::LangsmithKey,
        "lsv2_sk_",
        &[Run(HEX, 32, 32), Text("_"), Run(HEX, 10, 10)],
    ),
    form(Kind::PineconeKey, "pcsk_", &[Run(WORD, 50, 90)]).floor(35),
    form(Kind::VoyageKey, "pa-", &[Run(URL64, 43, 43)]).floor(40).strict(),
    form(Kind::JinaKey, "jina_", &[Run(URL64, 50, 70)]).floor(35),
    form(Kind::TavilyKey, "tvly-", &[Run(URL64, 28, 60)]).floor(30),
    form(Kind::FirecrawlKey, "fc-", &[Run(HEX, 32, 32)]).floor(28).strict(),
    form(Kind::E2bKey, "e2b_", &[Run(HEX, 40, 40)]),
    form(Kind::ModalToken, "ak-", &[Run(ALNUM, 22, 22)]).floor(35).strict(),
    form(Kind::ModalToken, "as-", &[Run(ALNUM, 22, 22)]).floor(35).strict(),
    form(Kind::WandbKey, "wandb_v1_", &[Run(WORD, 40, 100)]).floor(30),
    form(Kind::LlamacloudKey, "llx-", &[Run(ALNUM, 40, 60)]).floor(35),
    form(Kind::RunpodKey, "rpa_", &[Run(UPPER, 36, 60)]).floor(30),
];
