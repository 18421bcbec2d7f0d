//! The detector as a whole: what is found, what is left alone, and that pieces make no difference.
//!
//! Keys are put together from parts, so that nobody's scanner takes this file for a leak.

use proptest::prelude::*;

use super::{Kind, Scanner};
use crate::detector::Detector as _;
use crate::detector::proof::{same_in_pieces, whole};

/// Characters that look drawn, from an alphabet; the same for the same arguments.
fn drawn(alphabet: &str, length: usize, seed: u64) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut state = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(0x1234_5678_9ABC_DEF1);
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            alphabet[usize::try_from(state >> 33).unwrap_or_default() % alphabet.len()]
        })
        .collect()
}

const ALNUM: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const HEX: &str = "0123456789abcdef";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LOWER: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

fn uuid(seed: u64) -> String {
    let hex = drawn(HEX, 32, seed);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn block(title: &str) -> String {
    let body: String = (0..6).map(|line| drawn(ALNUM, 64, line + 1) + "\n").collect();
    format!("-----BEGIN {title}-----\n{body}-----END {title}-----")
}

/// A key of many kinds, each of a form of its own.
fn keys() -> Vec<(Kind, String)> {
    let a = |length, seed| drawn(ALNUM, length, seed);
    let h = |length, seed| drawn(HEX, length, seed);
    vec![
        (Kind::AwsAccessKeyId, format!("AKIA{}", drawn(UPPER, 16, 1))),
        (Kind::GoogleApiKey, format!("AIza{}", a(35, 2))),
        (Kind::DigitaloceanToken, format!("dop_v1_{}", h(64, 3))),
        (Kind::AzureClientSecret, format!("{}8Q~{}", a(3, 4), a(34, 5))),
        (Kind::TerraformToken, format!("{}.atlasv1.{}", a(14, 6), a(67, 7))),
        (Kind::GithubToken, format!("ghp_{}", a(36, 8))),
        (Kind::GithubToken, format!("github_pat_{}_{}", a(22, 9), a(59, 10))),
        (Kind::GitlabToken, format!("glpat-{}", a(20, 11))),
        (Kind::NpmToken, format!("npm_{}", a(36, 12))),
        (Kind::PypiToken, format!("pypi-AgEIcHlwaS5vcmc{}", a(80, 13))),
        (
            Kind::SlackToken,
            format!(
                "xoxb-{}-{}-{}",
                drawn("123456789", 12, 14),
                drawn("123456789", 12, 15),
                a(24, 16)
            ),
        ),
        (
            Kind::SlackWebhook,
            format!("hooks.slack.com/services/T{}/B{}/{}", a(9, 17), a(9, 18), a(24, 19)),
        ),
        (Kind::DiscordToken, format!("M{}.{}.{}", a(25, 20), a(6, 21), a(38, 22))),
        (
            Kind::TelegramToken,
            format!("{}:A{}", drawn("123456789", 10, 23), a(34, 24)),
        ),
        (Kind::StripeKey, format!("sk_live_{}", a(24, 25))),
        (Kind::ShopifyToken, format!("shpat_{}", h(32, 26))),
        (Kind::OpenaiKey, format!("sk-proj-{}T3BlbkFJ{}", a(74, 27), a(74, 28))),
        (Kind::AnthropicKey, format!("sk-ant-api03-{}AA", a(93, 29))),
        (
            Kind::HuggingfaceToken,
            format!("hf_{}", drawn("abcdefghijkmnopqrstuvwxyzABCDEFGH", 34, 30)),
        ),
        (Kind::XaiKey, format!("xai-{}", a(80, 31))),
        (Kind::GroqKey, format!("gsk_{}", a(52, 32))),
        (Kind::SendgridKey, format!("SG.{}.{}", a(22, 33), a(43, 34))),
        (Kind::MailchimpKey, format!("{}-us12", h(32, 35))),
        (Kind::TwilioKey, format!("SK{}", h(32, 36))),
        (Kind::VaultToken, format!("hvs.{}", a(95, 37))),
        (Kind::DatabricksToken, format!("dapi{}", h(32, 38))),
        (Kind::GrafanaToken, format!("glsa_{}_{}", a(32, 39), h(8, 40))),
        (Kind::HubspotToken, format!("pat-na1-{}", uuid(41))),
        (Kind::Jwt, format!("eyJ{}.eyJ{}.{}", a(33, 42), a(60, 43), a(43, 44))),
        (
            Kind::AgeSecretKey,
            format!("AGE-SECRET-KEY-1{}", drawn("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58, 45)),
        ),
        (Kind::LinearKey, format!("lin_api_{}", drawn(LOWER, 40, 46))),
        (Kind::TollwayKey, format!("tw_live_{}", a(49, 47))),
        (Kind::PrivateKey, block("RSA PRIVATE KEY")),
        (Kind::PrivateKey, block("PGP PRIVATE KEY BLOCK")),
    ]
}

fn found(text: &str) -> Vec<(Kind, &str)> {
    whole(&Scanner::new(), text)
        .into_iter()
        .filter_map(|finding| Some((Kind::of(finding.label)?, &text[finding.start..finding.end])))
        .collect()
}

#[test]
fn a_key_with_a_form_of_its_own_is_found_wherever_it_stands() {
    for (kind, key) in keys() {
        for text in [
            key.clone(),
            format!("My key is {key} but I get a 401, what is wrong?"),
            format!("please rotate {key}, I pasted it in the chat by accident."),
            format!("TOKEN={key}\nDEBUG=1"),
            format!("{{\"token\":\"{key}\"}}"),
            format!("curl -H 'Authorization: Bearer {key}' https://api.example.org/v1/me"),
            format!("Client(\"{key}\")"),
            format!("line\\n{key}\\n"),
            format!("https://api.example.org/?t=1&key={key}&x=2"),
            format!("密钥是{key}。"),
        ] {
            assert_eq!(found(&text), [(kind, key.as_str())], "{text}");
        }
    }
}

#[test]
fn a_cut_or_lengthened_key_of_fixed_length_is_none() {
    for prefix in ["AKIA", "ASIA"] {
        let key = drawn(UPPER, 17, 1);
        assert_eq!(found(&format!("{prefix}{key}")), []);
        assert_eq!(found(&format!("{prefix}{}", &key[..15])), []);
    }
}

#[test]
fn user_and_password_in_an_address_are_found() {
    let password = drawn(ALNUM, 12, 1);
    for (kind, text) in [
        (Kind::ConnectionString, "postgres://app:{}@db.internal:5432/app"),
        (Kind::ConnectionString, "redis://:{}@cache:6379/0"),
        (Kind::ConnectionString, "mongodb+srv://app:{}@cluster0.mongodb.net"),
        (Kind::UrlCredentials, "git clone https://bob:{}@git.example.org/x.git"),
    ] {
        let text = text.replace("{}", &password);
        let findings = found(&text);
        assert_eq!(findings.len(), 1, "{text}");
        assert_eq!(findings[0].0, kind);
        assert!(findings[0].1.ends_with(&password), "{findings:?}");
    }
    for text in [
        "https://example.org/a@b",
        "postgres://user:password@localhost/db",
        "postgres://${USER}:${PASSWORD}@host/db",
        "https://<user>:<token>@host/",
        "amqp://guest:guest@localhost",
        "https://host:8080/path",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn passwords_and_tokens_beside_their_names_are_found() {
    let secret = drawn(ALNUM, 30, 3);
    for text in [
        "API_KEY={}",
        "  \"client_secret\": \"{}\",",
        "access_token: {}",
        "--api-key {} --verbose",
        "X-Api-Key: {}",
        "my api key is {}.",
        "<token>{}</token>",
        "Cookie: session={}; lang=en",
        "curl -u admin:{} https://example.org",
        "Server=db;User Id=sa;Password={};",
    ] {
        let text = text.replace("{}", &secret);
        let findings = found(&text);
        assert_eq!(findings.len(), 1, "{text}");
        assert!(findings[0].1.ends_with(&secret), "{findings:?}");
    }
}

#[test]
fn an_aws_secret_is_told_by_its_name() {
    let text = format!("aws_secret_access_key = {}", drawn(ALNUM, 40, 4));
    assert_eq!(found(&text)[0].0, Kind::AwsSecretAccessKey);
}

#[test]
fn what_only_looks_secret_is_left_alone() {
    for text in [
        "The quick brown fox jumps over the lazy dog.",
        "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "id=176d6f4b-ad41-4c4a-88bb-aa174fc125e2",
        "max_tokens=4096, tokens: 123456",
        "token_count = 1234567890123456",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "export OPENAI_API_KEY=<your-key>",
        "password: ${{ secrets.PASSWORD }}",
        "const apiKey = process.env.API_KEY_V1;",
        "The token is passed as a parameter to authenticate1.",
        "secretsmanager.get_secret_value(SecretId=name_of_secret1)",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ\n-----END CERTIFICATE-----",
        "def test_password_reset_token_v2_is_valid(client): ...",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn every_kind_has_a_name_of_its_own() {
    let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert!(names.is_sorted());
    assert!(names.iter().all(|name| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    }));
    for (index, kind) in Kind::ALL.iter().enumerate() {
        assert_eq!(usize::from(kind.label()), index);
        assert_eq!(Scanner::new().name(kind.label()), kind.name());
        assert!(!kind.about().is_empty());
    }
}

#[test]
fn a_block_that_never_ends_is_cut() {
    let text = format!("-----BEGIN PRIVATE KEY-----\n{}", drawn(ALNUM, 40_000, 5));
    let findings = whole(&Scanner::new(), &text);
    assert_eq!(findings[0].end, 16 * 1024);
    same_in_pieces_roughly(&text);
}

/// As `same_in_pieces`, in pieces of some hundred bytes: for long texts.
fn same_in_pieces_roughly(text: &str) {
    let scanner = Scanner::new();
    let pieces = text
        .as_bytes()
        .chunks(997)
        .filter_map(|piece| str::from_utf8(piece).ok());
    assert_eq!(
        crate::detector::proof::in_pieces(&scanner, pieces),
        whole(&scanner, text)
    );
}

#[test]
fn long_rows_are_the_same_in_pieces() {
    for (_, key) in keys() {
        same_in_pieces(&Scanner::new(), &format!("x {key} y"), &[7, 19, 40]);
    }
    same_in_pieces_roughly(&format!("token = {} and on", drawn(ALNUM, 5_000, 6)));
    same_in_pieces_roughly(&format!(
        "eyJ{}.eyJ{}.{} and on",
        drawn(ALNUM, 3_000, 6),
        drawn(ALNUM, 3_000, 7),
        drawn(ALNUM, 90, 8)
    ));
}

#[test]
fn prose_is_decided_up_to_its_last_word() {
    let text = "Please summarise what the author says about the wor";
    assert_eq!(Scanner::new().scan(text, 0, false, &mut Vec::new()), text.len() - 3);
}

fn pieces() -> impl Strategy<Value = String> {
    let keys: Vec<String> = keys()
        .into_iter()
        .map(|(_, key)| key)
        .filter(|key| key.len() < 200)
        .collect();
    let near = prop::sample::select(keys.clone()).prop_flat_map(|key| {
        let length = key.len();
        (Just(key), 0..=length).prop_map(|(key, end)| key[..end].to_owned())
    });
    let words = prop::sample::select(vec![
        "password",
        "my password is ",
        "token",
        "API_KEY",
        "api key",
        "secret",
        "Authorization: Bearer ",
        "curl -u ",
        "user:",
        "postgres://",
        "https://u:",
        "@host/",
        "-----BEGIN ",
        "RSA PRIVATE KEY-----",
        "-----END ",
        "-----",
        "PuTTY-User-Key-File-2: x",
        "Private-MAC: ab12",
        "BEGIN ",
        "var x string",
        "value=\"",
        "login ",
        "hunter2!",
        "--token ",
        "key",
        "public ",
        "is ",
        "eyJ",
        "AccountKey=",
        "9f86d081884c7d659a2feaa0c55ad015",
        "Tr0ub4dor&3",
        "v1.0-",
        "1//0",
        "the ",
        "session=",
        "\u{2026}",
        "...",
        "xoxb-",
    ])
    .prop_map(str::to_owned);
    let marks = prop::sample::select(vec![
        " ", " ", "=", ": ", "\"", "'", "\n", "\\n", ":", "://", "@", ".", ",", "/", "+", "-", "_", "%2F", "\\u0022",
        ">", "<", "é", "密", "`", ";", "(", "=> ",
    ])
    .prop_map(str::to_owned);
    let random = "[A-Za-z0-9_./+=-]{1,40}";
    let part =
        prop_oneof![2 => prop::sample::select(keys), 2 => near, 4 => words, 5 => marks, 2 => random, 1 => "\\PC{0,6}"];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pieces_make_no_difference(text in pieces(), cuts in prop::collection::vec(any::<usize>(), 0..4)) {
        same_in_pieces(&Scanner::new(), &text, &cuts);
    }

    #[test]
    fn findings_are_in_order_and_on_characters(text in pieces()) {
        let mut end = 0;
        for finding in whole(&Scanner::new(), &text) {
            prop_assert!(end <= finding.start && finding.start < finding.end);
            prop_assert!(text.is_char_boundary(finding.start) && text.is_char_boundary(finding.end));
            end = finding.end;
        }
    }
}
