//! Clouds, hosting, databases and identity.

use super::super::form::Part::{self, Either, Run, Text, Uuid};
use super::super::form::{Form, form};
use super::super::kind::Kind;
use super::super::set::{ALNUM, ANY_HEX, BASE64, HEX, LETTER, LOWER, PADDING, UPPER, URL64, WORD};

pub(super) const FORMS: &[Form] = &[
    // Amazon
    form(Kind::AwsAccessKeyId, "AKIA", &[Run(UPPER, 16, 16)]).floor(25),
    form(Kind::AwsAccessKeyId, "ASIA", &[Run(UPPER, 16, 16)]).floor(25),
    form(Kind::AwsAccessKeyId, "ABIA", &[Run(UPPER, 16, 16)]).floor(25),
    form(Kind::AwsAccessKeyId, "ACCA", &[Run(UPPER, 16, 16)]).floor(25),
    form(Kind::AwsAccessKeyId, "A3T", &[Run(UPPER, 17, 17)]).floor(25),
    form(
        Kind::AwsBedrockKey,
        "ABSK",
        &[Run(BASE64, 109, 269), Run(PADDING, 0, 2)],
    ),
    form(
        Kind::AwsBedrockKey,
        "bedrock-api-key-",
        &[Run(BASE64, 28, 4096), Run(PADDING, 0, 2)],
    ),
    form(Kind::AwsMwsToken, "amzn.mws.", &[Uuid]),
    // Google
    form(Kind::GoogleApiKey, "AIza", &[Run(URL64, 35, 35)]).floor(32),
    form(Kind::GoogleApiKey, "AQ.Ab", &[Run(URL64, 45, 60)]).floor(30),
    form(Kind::GoogleOauth, "GOCSPX-", &[Run(URL64, 24, 32)]).floor(30),
    form(Kind::GoogleOauth, "ya29.", &[Run(URL64.and(b'.'), 30, 4096)]).floor(30),
    form(Kind::GoogleOauth, "1//0", &[Run(URL64, 40, 200)])
        .floor(30)
        .strict(),
    form(Kind::GoogleStorageKey, "GOOG1E", &[Run(UPPER, 55, 55)]).floor(30),
    // Microsoft: the keys of connection strings; client secrets and personal tokens have shapes.
    form(
        Kind::AzureKey,
        "AccountKey=",
        &[Run(BASE64, 40, 88), Run(PADDING, 0, 2)],
    )
    .floor(35),
    form(
        Kind::AzureKey,
        "SharedAccessKey=",
        &[Run(BASE64, 40, 88), Run(PADDING, 0, 2)],
    )
    .floor(35),
    // Other clouds
    form(Kind::DigitaloceanToken, "dop_v1_", &[Run(HEX, 64, 64)]),
    form(Kind::DigitaloceanToken, "doo_v1_", &[Run(HEX, 64, 64)]),
    form(Kind::DigitaloceanToken, "dor_v1_", &[Run(ANY_HEX, 64, 64)]),
    form(Kind::DigitaloceanToken, "DO00", &[Run(UPPER, 16, 16)])
        .floor(30)
        .strict(),
    form(Kind::AlibabaAccessKey, "LTAI", &[Run(ALNUM, 12, 26)]).floor(25),
    form(Kind::TencentKey, "AKID", &[Run(ALNUM, 32, 32)]).floor(30),
    form(Kind::VolcengineKey, "AKLT", &[Run(ALNUM, 40, 80)]).floor(30),
    form(
        Kind::BaiduKey,
        "bce-v3/ALTAK-",
        &[Run(ALNUM, 21, 21), Text("/"), Run(HEX, 40, 40)],
    ),
    form(Kind::YandexKey, "AQVN", &[Run(URL64, 35, 38)]).floor(30),
    form(Kind::YandexKey, "YC", &[Run(URL64, 38, 38)]).floor(40).strict(),
    form(
        Kind::YandexKey,
        "t1.",
        &[
            Run(URL64, 20, 400),
            Run(PADDING, 0, 2),
            Text("."),
            Run(URL64, 86, 86),
            Run(PADDING, 0, 2),
        ],
    )
    .strict(),
    form(Kind::YandexKey, "y0_", &[Run(URL64, 50, 80)]).floor(35).strict(),
    form(
        Kind::CloudflareKey,
        "v1.0-",
        &[Run(HEX, 24, 24), Text("-"), Run(HEX, 146, 146)],
    ),
    form(Kind::FlyToken, "fo1_", &[Run(URL64, 43, 43)]).floor(30),
    form(Kind::FlyToken, "fm1a_", &[Run(BASE64, 100, 4096), Run(PADDING, 0, 3)]),
    form(Kind::FlyToken, "fm1r_", &[Run(BASE64, 100, 4096), Run(PADDING, 0, 3)]),
    form(Kind::FlyToken, "fm2_", &[Run(BASE64, 100, 4096), Run(PADDING, 0, 3)]),
    form(Kind::HerokuKey, "HRKU-AA", &[Run(URL64, 58, 58)]).floor(30),
    form(Kind::HerokuKey, "HRKU-", &[Uuid]),
    form(Kind::NetlifyToken, "nfp_", &[Run(ALNUM, 36, 40)]),
    form(Kind::RenderKey, "rnd_", &[Run(ALNUM, 28, 40)]).floor(30).strict(),
    form(Kind::ScalingoToken, "tk-us-", &[Run(URL64, 48, 48)]).floor(25),
    form(Kind::VercelToken, "vcp_", &[Run(ALNUM, 40, 64)]).floor(30),
    form(Kind::VercelToken, "vck_", &[Run(ALNUM, 40, 64)]).floor(30),
    form(Kind::VercelToken, "vercel_blob_rw_", &[Run(WORD, 30, 64)]).floor(30),
    form(Kind::DenoToken, "ddp_", &[Run(ALNUM, 36, 40)]).floor(30),
    // Databases
    form(Kind::ClickhouseKey, "4b1d", &[Run(ALNUM, 38, 38)])
        .floor(30)
        .strict(),
    form(Kind::ConfluentSecret, "cflt", &[Run(BASE64, 60, 60)])
        .floor(35)
        .strict(),
    form(Kind::MongodbAtlasSecret, "mdb_sa_sk_", &[Run(URL64, 40, 40)]).floor(30),
    form(Kind::NeonKey, "napi_", &[Run(LOWER, 48, 80)]).floor(30),
    form(
        Kind::PlanetscaleToken,
        "pscale_pw_",
        &[Run(URL64.and(b'=').and(b'.'), 32, 64)],
    ),
    form(
        Kind::PlanetscaleToken,
        "pscale_tkn_",
        &[Run(URL64.and(b'=').and(b'.'), 32, 64)],
    ),
    form(
        Kind::PlanetscaleToken,
        "pscale_oauth_",
        &[Run(URL64.and(b'=').and(b'.'), 32, 64)],
    ),
    form(Kind::SupabaseKey, "sbp_", &[Run(HEX, 40, 40)]),
    form(Kind::SupabaseKey, "sb_secret_", &[Run(URL64, 20, 60)]).floor(30),
    form(
        Kind::DatabricksToken,
        "dapi",
        &[Run(HEX, 32, 32), Either(&["-1", "-2", "-3", "-4", ""])],
    )
    .floor(25),
    form(Kind::DatabricksToken, "dose", &[Run(HEX, 32, 32)])
        .floor(25)
        .strict(),
    // Identity, secrets and networks
    form(
        Kind::OnepasswordKey,
        "ops_eyJ",
        &[Run(BASE64, 250, 4096), Run(PADDING, 0, 3)],
    ),
    form(
        Kind::OnepasswordKey,
        "A3-",
        &[
            Run(UPPER, 6, 6),
            Text("-"),
            Run(UPPER, 11, 11),
            Text("-"),
            Run(UPPER, 5, 5),
            Text("-"),
            Run(UPPER, 5, 5),
            Text("-"),
            Run(UPPER, 5, 5),
        ],
    )
    .floor(30),
    form(
        Kind::OnepasswordKey,
        "A3-",
        &[
            Run(UPPER, 6, 6),
            Text("-"),
            Run(UPPER, 6, 6),
            Text("-"),
            Run(UPPER, 5, 5),
            Text("-"),
            Run(UPPER, 5, 5),
            Text("-"),
            Run(UPPER, 5, 5),
            Text("-"),
            Run(UPPER, 5, 5),
        ],
    )
    .floor(30),
    form(Kind::DopplerToken, "dp.pt.", &[Run(ALNUM, 40, 44)]),
    form(Kind::DopplerToken, "dp.ct.", &[Run(ALNUM, 40, 44)]),
    form(Kind::DopplerToken, "dp.sa.", &[Run(ALNUM, 40, 44)]),
    form(Kind::DopplerToken, "dp.said.", &[Run(ALNUM, 40, 44)]),
    form(Kind::DopplerToken, "dp.scim.", &[Run(ALNUM, 40, 44)]),
    form(Kind::DopplerToken, "dp.audit.", &[Run(ALNUM, 40, 44)]),
    form(Kind::DopplerToken, "dp.st.", &[Run(ALNUM, 40, 44)]),
    form(
        Kind::DopplerToken,
        "dp.st.",
        &[Run(URL64, 2, 35), Text("."), Run(ALNUM, 40, 44)],
    ),
    form(Kind::VaultToken, "hvs.", &[Run(URL64, 24, 200)]).floor(35),
    form(Kind::VaultToken, "s.", &[Run(ALNUM, 24, 24)]).strict(),
    form(Kind::VaultToken, "hvb.", &[Run(URL64, 100, 400)]).floor(35),
    form(Kind::VaultToken, "hvr.", &[Run(URL64, 24, 400)]).floor(35),
    form(
        Kind::TailscaleKey,
        "tskey-auth-",
        &[Run(ALNUM, 8, 24), Text("-"), Run(ALNUM, 20, 48)],
    ),
    form(
        Kind::TailscaleKey,
        "tskey-api-",
        &[Run(ALNUM, 8, 24), Text("-"), Run(ALNUM, 20, 48)],
    ),
    form(
        Kind::TailscaleKey,
        "tskey-client-",
        &[Run(ALNUM, 8, 24), Text("-"), Run(ALNUM, 20, 48)],
    ),
    form(
        Kind::TailscaleKey,
        "tskey-webhook-",
        &[Run(ALNUM, 8, 24), Text("-"), Run(ALNUM, 20, 48)],
    ),
    form(Kind::DefinedNetworkingKey, "dnkey-", &[Run(URL64.and(b'='), 79, 79)]),
    form(Kind::OpenshiftToken, "sha256~", &[Run(URL64, 43, 43)]).floor(35),
    form(Kind::AgeSecretKey, "AGE-SECRET-KEY-1", &[Run(UPPER, 58, 58)]).unjudged(),
    form(Kind::AuthressKey, "sc_", AUTHRESS).floor(30),
    form(Kind::AuthressKey, "ext_", AUTHRESS).floor(30),
    form(Kind::AuthressKey, "scauth_", AUTHRESS).floor(30),
    form(Kind::AuthressKey, "authress_", AUTHRESS).floor(30),
    form(
        Kind::TollwayKey,
        "tw_",
        &[Run(LETTER, 1, 12), Text("_"), Run(ALNUM, 49, 49)],
    )
    .floor(35),
];

const AUTHRESS: &[Part] = &[
    Run(ALNUM, 5, 30),
    Text("."),
    Run(ALNUM, 4, 6),
    Text(".acc"),
    Either(&["_", "-"]),
    Run(ALNUM.and(b'-'), 10, 32),
    Text("."),
    Run(URL64.and(b'=').and(b'+'), 30, 120),
];
