//! Source hosting, CI, packaging, monitoring and what else serves developers.

use super::super::form::Part::{self, Either, Run, Text, Uuid};
use super::super::form::{Form, form};
use super::super::kind::Kind;
use super::super::set::{ALNUM, ANY_HEX, BASE64, HEX, LOWER, PADDING, UPPER, URL64, WORD};

/// GitLab's tokens: at least 20 characters, and longer ones with a dot before their checksum.
const GITLAB: &[Part] = &[Run(URL64.and(b'.'), 20, 320)];
/// JSON in base64, up to a dot: `{"` always reads `eyJ`.
const JWT_HEAD: Part = Run(URL64, 12, 8192);

pub(super) const FORMS: &[Form] = &[
    // Hosting
    form(Kind::GithubToken, "ghp_", &[Run(ALNUM, 36, 251)]).floor(28),
    form(Kind::GithubToken, "gho_", &[Run(ALNUM, 36, 251)]).floor(28),
    form(Kind::GithubToken, "ghu_", &[Run(ALNUM, 36, 251)]).floor(28),
    form(Kind::GithubToken, "ghs_", &[Run(URL64.and(b'.'), 36, 1024)]).floor(28),
    form(Kind::GithubToken, "ghr_", &[Run(ALNUM, 36, 251)]).floor(28),
    form(Kind::GithubToken, "github_pat_", &[Run(WORD, 82, 240)]).floor(28),
    form(Kind::GitlabToken, "glpat-", GITLAB),
    form(Kind::GitlabToken, "gldt-", GITLAB),
    form(Kind::GitlabToken, "glft-", GITLAB),
    form(Kind::GitlabToken, "glffct-", GITLAB),
    form(Kind::GitlabToken, "glimt-", GITLAB),
    form(Kind::GitlabToken, "glagent-", GITLAB),
    form(Kind::GitlabToken, "gloas-", GITLAB),
    form(Kind::GitlabToken, "glrt-", GITLAB),
    form(Kind::GitlabToken, "glrtr-", GITLAB),
    form(Kind::GitlabToken, "glsoat-", GITLAB),
    form(Kind::GitlabToken, "glwt-", GITLAB),
    form(Kind::GitlabToken, "glptt-", &[Run(URL64, 20, 64)]),
    form(Kind::GitlabToken, "glcbt-", GITLAB),
    form(Kind::GitlabToken, "GR1348941", &[Run(URL64, 20, 64)]),
    form(Kind::GitlabToken, "_gitlab_session=", &[Run(LOWER, 32, 64)]),
    form(Kind::BitbucketToken, "ATBB", &[Run(URL64.and(b'='), 28, 64)]).floor(30),
    form(Kind::BitbucketToken, "ATCTT3", &[Run(URL64.and(b'='), 160, 220)]).floor(30),
    form(Kind::AtlassianToken, "ATATT3", &[Run(URL64.and(b'='), 100, 240)]).floor(30),
    form(Kind::AtlassianToken, "ATSTT3", &[Run(URL64.and(b'='), 100, 240)]).floor(30),
    form(Kind::SourcegraphToken, "sgp_", &[Run(ANY_HEX, 40, 40)]).floor(25),
    form(
        Kind::SourcegraphToken,
        "sgp_",
        &[Run(ANY_HEX, 16, 16), Text("_"), Run(ANY_HEX, 40, 40)],
    )
    .floor(25),
    form(Kind::SourcegraphToken, "sgp_local_", &[Run(ANY_HEX, 40, 40)]).floor(25),
    form(Kind::SourcegraphToken, "slk_", &[Run(ANY_HEX, 64, 64)]).floor(25),
    // Packaging
    form(Kind::NpmToken, "npm_", &[Run(ALNUM, 36, 36)]),
    form(Kind::PypiToken, "pypi-AgEIcHlwaS5vcmc", &[Run(URL64, 50, 1000)]),
    form(Kind::PypiToken, "pypi-AgENdGVzdC5weXBpLm9yZw", &[Run(URL64, 50, 1000)]),
    form(Kind::RubygemsKey, "rubygems_", &[Run(HEX, 48, 48)]),
    form(Kind::ClojarsToken, "CLOJARS_", &[Run(ALNUM, 60, 60)]),
    form(Kind::CratesToken, "cio", &[Run(ALNUM, 32, 32)]).floor(35).strict(),
    form(Kind::NugetKey, "oy2", &[Run(LOWER, 43, 43)]).floor(35).strict(),
    form(Kind::DockerToken, "dckr_pat_", &[Run(URL64, 27, 36)]),
    form(Kind::DockerToken, "dckr_oat_", &[Run(URL64, 27, 40)]),
    form(Kind::ArtifactoryToken, "AKCp", &[Run(ALNUM, 60, 75)]).floor(35),
    form(Kind::ArtifactoryToken, "cmVmd", &[Run(ALNUM, 59, 59)]).floor(35),
    // CI and delivery
    form(
        Kind::CircleciToken,
        "CCIPAT_",
        &[Run(ALNUM, 22, 22), Text("_"), Run(HEX, 40, 40)],
    ),
    form(
        Kind::CircleciToken,
        "CCIPRJ_",
        &[Run(ALNUM, 22, 22), Text("_"), Run(HEX, 40, 40)],
    ),
    form(Kind::BuildkiteToken, "bkua_", &[Run(HEX, 40, 40)]),
    form(Kind::BuildkiteToken, "bkat_", &[Run(WORD, 40, 80)]),
    form(Kind::HarnessKey, "pat.", HARNESS),
    form(Kind::HarnessKey, "sat.", HARNESS),
    form(Kind::OctopusKey, "API-", &[Run(UPPER, 25, 26)]).floor(30).strict(),
    form(Kind::PrefectKey, "pnu_", &[Run(ALNUM, 36, 36)]),
    form(Kind::PrefectKey, "pnb_", &[Run(ALNUM, 36, 36)]),
    form(Kind::PulumiToken, "pul-", &[Run(HEX, 40, 40)]),
    form(Kind::InfracostKey, "ico-", &[Run(ALNUM, 32, 32)])
        .floor(30)
        .strict(),
    form(Kind::SettlemintToken, "sm_aat_", &[Run(ALNUM, 16, 16)]).floor(25),
    form(Kind::SettlemintToken, "sm_pat_", &[Run(ALNUM, 16, 16)]).floor(25),
    form(Kind::SettlemintToken, "sm_sat_", &[Run(ALNUM, 16, 16)]).floor(25),
    form(Kind::SnykToken, "snyk_uat.", SNYK),
    form(Kind::SnykToken, "snyk_sat.", SNYK),
    form(Kind::SonarToken, "squ_", &[Run(HEX, 40, 40)]),
    form(Kind::SonarToken, "sqp_", &[Run(HEX, 40, 40)]),
    form(Kind::SonarToken, "sqa_", &[Run(HEX, 40, 40)]),
    form(Kind::LaunchdarklyKey, "sdk-", &[Uuid]),
    form(Kind::LaunchdarklyKey, "api-", &[Uuid]),
    form(Kind::LaunchdarklyKey, "mob-", &[Uuid]),
    form(Kind::StatsigKey, "secret-", &[Run(ALNUM, 40, 50)])
        .floor(35)
        .strict(),
    form(Kind::WakatimeKey, "waka_", &[Uuid]),
    // Monitoring
    form(
        Kind::SentryToken,
        "sntrys_eyJ",
        &[Run(BASE64, 60, 500), Run(PADDING, 0, 2), Text("_"), Run(BASE64, 43, 43)],
    ),
    form(Kind::SentryToken, "sntryu_", &[Run(HEX, 64, 64)]).floor(30),
    form(
        Kind::GrafanaToken,
        "glsa_",
        &[Run(ALNUM, 32, 32), Text("_"), Run(ANY_HEX, 8, 8)],
    )
    .floor(28),
    form(Kind::GrafanaToken, "glc_", &[Run(BASE64, 32, 400), Run(PADDING, 0, 3)]).floor(28),
    form(
        Kind::GrafanaToken,
        "eyJrIjoi",
        &[Run(ALNUM, 70, 400), Run(PADDING, 0, 3)],
    )
    .floor(28),
    form(Kind::NewrelicKey, "NRAK-", &[Run(ALNUM, 27, 27)]),
    form(Kind::NewrelicKey, "NRII-", &[Run(ALNUM.and(b'-'), 32, 32)]),
    form(Kind::NewrelicKey, "NRIQ-", &[Run(ALNUM.and(b'-'), 32, 32)]),
    form(Kind::NewrelicKey, "NRJS-", &[Run(HEX, 19, 19)]),
    form(Kind::NewrelicKey, "NRRA-", &[Run(ANY_HEX, 42, 42)]),
    form(Kind::NewrelicKey, "NRBR-", &[Run(HEX, 19, 19)]),
    form(Kind::DatadogKey, "ddapp_", &[Run(ALNUM, 34, 40)]),
    form(Kind::DatadogKey, "ddpat_", &[Run(WORD, 34, 80)]),
    form(
        Kind::DynatraceToken,
        "dt0c01.",
        &[Run(ALNUM, 24, 24), Text("."), Run(ALNUM, 64, 64)],
    ),
    form(
        Kind::DynatraceToken,
        "dt0s01.",
        &[Run(ALNUM, 8, 24), Text("."), Run(ALNUM, 64, 64)],
    ),
    form(
        Kind::DynatraceToken,
        "dt0s02.",
        &[Run(ALNUM, 8, 24), Text("."), Run(ALNUM, 64, 64)],
    ),
    form(
        Kind::DynatraceToken,
        "dt0s16.",
        &[Run(ALNUM, 8, 24), Text("."), Run(ALNUM, 64, 64)],
    ),
    form(Kind::HoneycombKey, "hcaik_", &[Run(LOWER, 58, 58)]),
    form(Kind::HoneycombKey, "hcbik_", &[Run(LOWER, 58, 58)]),
    form(Kind::PosthogKey, "phx_", &[Run(ALNUM, 40, 60)]).floor(30),
    // Tokens of no provider in particular
    form(
        Kind::Jwt,
        "eyJ",
        &[
            JWT_HEAD,
            Text(".ey"),
            Run(URL64, 12, 8192),
            Text("."),
            Run(URL64, 0, 4096),
        ],
    )
    .unjudged(),
    form(
        Kind::Jwt,
        "eyA",
        &[
            JWT_HEAD,
            Text(".ey"),
            Run(URL64, 12, 8192),
            Text("."),
            Run(URL64, 0, 4096),
        ],
    )
    .unjudged(),
    form(
        Kind::Jwt,
        "eyJ",
        &[
            JWT_HEAD,
            Text("."),
            Run(URL64, 0, 1024),
            Text("."),
            Run(URL64, 12, 64),
            Text("."),
            Run(URL64, 12, 8192),
            Text("."),
            Run(URL64, 16, 128),
        ],
    )
    .unjudged(),
    form(
        Kind::Jwt,
        "ZXlK",
        &[Run(BASE64.and(b'-').and(b'_'), 60, 8192), Run(PADDING, 0, 2)],
    )
    .floor(35),
];

const HARNESS: &[Part] = &[
    Run(URL64, 22, 22),
    Text("."),
    Run(ALNUM, 24, 24),
    Text("."),
    Run(ALNUM, 20, 20),
];
const SNYK: &[Part] = &[
    Run(HEX, 8, 8),
    Text("."),
    Run(URL64, 14, 400),
    Either(&["."]),
    Run(URL64.and(b'.'), 16, 1024),
];
