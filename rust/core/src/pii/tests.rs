#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn found(text: &str) -> Vec<(&'static str, &str)> {
    let findings = Scanner::new(Entities::ALL).scan(text);
    findings
        .iter()
        .map(|finding| (finding.entity.name(), &text[finding.start..finding.end]))
        .collect()
}

#[track_caller]
fn finds(entity: &str, cases: &[&str]) {
    for case in cases {
        // The part between « and » is to be found.
        let (before, rest) = case.split_once('«').unwrap();
        let (value, after) = rest.split_once('»').unwrap();
        let text = format!("{before}{value}{after}");
        assert_eq!(found(&text), [(entity, value)], "{text}");
    }
}

#[track_caller]
fn finds_nothing(cases: &[&str]) {
    for case in cases {
        assert_eq!(found(case), [], "{case}");
    }
}

#[test]
fn emails_are_found() {
    finds(
        "email",
        &[
            "write to «jane.doe+news@mail.example.co.uk».",
            "<«o'brien@example.org»>",
            "'«bob@example.com»'",
            "mailto:«a_b@x-y.io»?subject=hi",
            "邮箱«li@example.cn»。",
            "«jürgen@müller.de»,",
            r#"{\"to\":\n«bob@example.com»\n}"#,
        ],
    );
}

#[test]
fn not_every_at_is_an_email() {
    finds_nothing(&[
        "What does `react@19.0.1` mean?",
        "`a@b`",
        "@decorator",
        "icon@2x.png",
        "git@github.com:owner/repository.git",
        "y = W@x.mean()",
        "a..b@example.com",
        "@@@@",
    ]);
}

#[test]
fn card_numbers_are_found() {
    finds(
        "credit_card",
        &[
            "«4111111111111111»",
            "card «4111 1111 1111 1111», thanks",
            "«4111-1111-1111-1111»",
            "amex «3782 822463 10005»",
            "«378282246310005»",
            "2-series «2223003122003222»",
            "nineteen digits «4000000000000000006»",
            "maestro card «6759649826438453»",
            "my card no «501800000009»",
            "«3530111333300000»",
            "«30569309025904»",
            "«6011111111111117»",
            "«6200000000000005»",
            "卡号«4111111111111111»",
            "«4111\u{a0}1111\u{a0}1111\u{a0}1111»",
            "my loyalty card «1234567812345670»",
        ],
    );
}

#[test]
fn not_every_long_number_is_a_card() {
    finds_nothing(&[
        "4111111111111112",
        "part no. 4111111111111111",
        "EAN 4006381333931",
        "0.4111111111111111",
        "INV4111111111111111",
        "1234567812345670",
        "41111111111111114111111111111111",
    ]);
}

#[test]
fn social_security_numbers_are_found() {
    finds(
        "us_ssn",
        &[
            "«123-45-6789»",
            "ssn «123 45 6789»",
            "my social security number is «123456789».",
        ],
    );
}

#[test]
fn numbers_that_were_never_issued_are_no_social_security_numbers() {
    finds_nothing(&[
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-4567",
        "123-45-0000",
        "123456789",
        "x-123-45-6789",
    ]);
}

#[test]
fn telephone_numbers_are_found() {
    finds(
        "phone",
        &[
            "call «+1 415 555 0132» now",
            "«+14155550132»",
            "«(415) 555-0132»",
            "«415-555-0132 x77»",
            "«415.555.0132»",
            "«1-800-555-0199»",
            "«+49 (0)30 1234567»",
            "«+44 20 7946 0958»",
            "«(+49) 30 1234567»",
            "«001-259-543-0832x123»",
            "«0216 123 45 67»",
            "«01.84.17.61.18»",
            "«(08152) 079961»",
            "my number is «8605665299»",
            "call me on «450 0840»",
            "«555\u{2011}123\u{2011}4567»",
            "text me at «5551234567»",
            "«8605665299» (mobile)",
            r#"{"phone_number": "«8605665299»"}"#,
            r"Phone:\n«8605665299»\n",
        ],
    );
}

#[test]
fn other_numbers_are_no_telephones() {
    finds_nothing(&[
        "ts=1701922806 level=info",
        "The job began at 1741588241685 and failed.",
        "Convert 2008-07-04T14:15:18.923324 to local time.",
        "call it on 2024-01-31",
        "Where is my order #5877265083?",
        "ORD-28530876166",
        "ISBN 978-0-259-61824-9",
        "Is 9781526733016 a paperback?",
        "request id 176d6f4b-ad41-4c4a-88bb-aa174fc125e2",
        "What is 979834689 * 842130310?",
        "406867479 - 441352082",
        "Lines 313-4519 of main.rs",
        "-34.422575, 78.735664",
        "requests==32.29.12+build.77",
        "MAC: 01-23-45-67-89-AB",
        "order 415-555-0132",
        "a list: 415 555 0132 77",
        "$4155550132",
        "/v1/items/4155550132",
        "ISBN 0306406152",
    ]);
}

#[test]
fn ibans_are_found() {
    finds(
        "iban",
        &[
            "«DE89 3704 0044 0532 0130 00»",
            "«GB29NWBK60161331926819»",
            "«AL47-2121-1009-0000-0002-3569-8741»",
            "«AL47212110090000000235698741» ALL CAPS",
            "«gb29nwbk60161331926819»",
            "«MT84MALT011000012345MTLCAST001S»",
        ],
    );
    finds_nothing(&[
        "DE89 3704 0044 0532 0130 01",
        "GB29NWBK6016133192681",
        "xDE89370400440532013000",
        "DE89370400440532013000a",
    ]);
}

#[test]
fn ip_addresses_are_found() {
    finds(
        "ip",
        &[
            "«192.168.0.1»:8080",
            "IP: «192.168.1.1».",
            "«10.0.0.0/8»",
            "«10.0.0.1»/999",
            "http://«10.0.0.1»/8/x",
            "http://[«2001:db8::1»]/path",
            "«::ffff:10.0.0.1»",
            "loopback «::1/128»",
            "at «fe80::1»: refused",
            "«2001:0db8:85a3:0000:0000:8a2e:0370:7334»",
            "root@«10.0.0.1»",
        ],
    );
}

#[test]
fn versions_paths_and_slices_are_no_addresses() {
    finds_nothing(&[
        "1.2.3.4.5",
        "300.1.1.1",
        "01.02.03.04",
        "Chrome/120.0.0.0",
        "pkg==1.2.3.4",
        "version 1.2.3.4",
        "1.2.3.4-rc1",
        "std::vec",
        ":: raises a syntax error",
        "items[1::2]",
        "items[::2]",
        "12:34:56",
        "00:1A:2B:3C:4D",
        "12345:db8::1",
        "fe80::1text",
    ]);
}

#[test]
fn several_findings_come_in_order() {
    assert_eq!(
        found("bob@example.com, 10.0.0.1, 123-45-6789 and +14155550132"),
        [
            ("email", "bob@example.com"),
            ("ip", "10.0.0.1"),
            ("us_ssn", "123-45-6789"),
            ("phone", "+14155550132"),
        ]
    );
}

#[test]
fn only_the_chosen_entities_are_found() {
    let phones = Scanner::new(Entities::from_iter([Entity::Phone]));
    assert_eq!(phones.scan("call 4111111111111111 or 10.0.0.1 or bob@example.com"), []);
    assert_eq!(phones.scan("call 4155550132").len(), 1);
    assert_eq!(Scanner::new(Entities::default()).scan("bob@example.com"), []);
}

#[test]
fn redaction_leaves_a_typed_placeholder() {
    let text = "Ich heiße Jörg: joerg@example.de, 4111 1111 1111 1111 ☎ +49 30 1234567";
    let findings = Scanner::new(Entities::ALL).scan(text);
    assert_eq!(
        redact(text, &findings),
        "Ich heiße Jörg: [EMAIL], [CREDIT_CARD] ☎ [PHONE]"
    );
}

#[test]
fn an_entity_is_known_by_its_name() {
    assert!(
        Entity::ALL
            .into_iter()
            .all(|entity| Entity::named(entity.name()) == Some(entity))
    );
    assert_eq!(Entity::named("EMAIL"), None);
}

/// Sizes at which quadratic work would take minutes.
#[test]
fn hostile_texts_are_read_in_linear_time() {
    const BYTES: usize = 400_000;
    let units = [
        "1", "@", "1-", "1 ", "11 ", "0 1", "a@", "a.", "1.", "call ", "call 1", ":", "1:", "::", "(", "+", "+1", "1a",
        "DE89 ", "4111 ", "é", "x1", "00 1", "123-45-", "\\n1", "é1", "(1", "1)", "01 ",
    ];
    for unit in units {
        let text = unit.repeat(BYTES / unit.len());
        assert!(Scanner::new(Entities::ALL).scan(&text).len() <= text.len(), "{unit}");
    }
}

proptest! {
    #[test]
    fn findings_are_in_order_apart_and_on_character_boundaries(text in "[ -~\u{a0}é☎0-9]{0,120}") {
        let mut from = 0;
        for finding in Scanner::new(Entities::ALL).scan(&text) {
            prop_assert!(from <= finding.start && finding.start < finding.end);
            prop_assert!(text.get(finding.start..finding.end).is_some());
            from = finding.end;
        }
    }

    #[test]
    fn any_text_may_be_scanned(text in "\\PC{0,120}") {
        let scanner = Scanner::new(Entities::ALL);
        let findings = scanner.scan(&text);
        prop_assert!(scanner.has_any(&text) || findings.is_empty());
        prop_assert!(redact(&text, &findings).len() <= text.len() + 13 * findings.len());
    }

    #[test]
    fn numbers_and_signs_may_be_scanned(text in "[0-9 ().+/@:x-]{0,80}") {
        let findings = Scanner::new(Entities::ALL).scan(&text);
        prop_assert!(redact(&text, &findings).matches('[').count() == findings.len());
    }
}
