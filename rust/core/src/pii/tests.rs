#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::detector::proof;

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
        "the number 123456789",
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

/// Pieces of texts that are almost something.
fn near_matches() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(NEAR_MATCHES).prop_map(str::to_owned),
        prop::sample::select(NEAR_MATCHES).prop_map(str::to_owned),
        prop::sample::select(GAPS).prop_map(str::to_owned),
        "[0-9]{1,12}",
        "[A-Z0-9]{1,10}",
        "[ -~\u{a0}é☎]{0,6}",
        "[a-z]{1,9}",
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

const GAPS: &[&str] = &[
    " ", " ", " ", "-", ".", "/", ":", "@", ", ", "\n", "\\n", "  ", " - ", " (", ") ", "\u{a0}", "\u{2011}", "+", "x",
    "_",
];
#[rustfmt::skip]
const NEAR_MATCHES: &[&str] = &[
    "4111111111111111", "4111 1111 1111 1111", "123-45-6789", "+1 415 555 0132", "(415) 555-0132", "415.555.0132 ext. 77",
    "0216 123 45 67", "8605665299", "+49 (0)30 1234567", "DE89 3704 0044 0532 0130 00", "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
    "gb29 nwbk 6016 1331 9268 19", "10.0.0.1", "192.168.0.0/16", "2001:db8::1", "::1", "fe80::1/64", "00:1A:2B:3C:4D:5E",
    "bob@example.com", "jürgen@müller.de", "https://bob:secret@example.com/x", "git@github.com:a/b", "icon@2x.png",
    "2024-01-31", "12:34:56", "born on 5 March 1990", "March 5th, 1990", "dob: 31.01.1990", "born", "of March", "1 2 3 4 5 6 7",
    "call me at ", "my number is ", "card ", "ssn ", "order ", "id ", "version ", "AB 12 34 56 C", "AB", "HRB", "the", "B-AB 1234",
    "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ", "0123 4567", "34 ABC 1234", "12345678Z", "x77", "ext", "(mobile)", "café", "卡号",
    "078-05-1120 is", "556703-7485 är vårt orgnummer", "passport", "pasaporte", "3222-7162-7", "AAA123456",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_text_in_pieces_is_judged_like_the_whole(text in near_matches(), cuts in prop::collection::vec(any::<usize>(), 0..5)) {
        proof::same_in_pieces(&Scanner::new(Entities::ALL), &text, &cuts);
    }

    #[test]
    fn long_rows_in_pieces_are_judged_like_the_whole(
        unit in near_matches(), times in 1..40_usize, cuts in prop::collection::vec(any::<usize>(), 0..5)
    ) {
        let mut text = unit.repeat(times);
        text.truncate((0..=text.len().min(900)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
        proof::same_in_pieces(&Scanner::new(Entities::ALL), &text, &cuts);
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
        prop_assert!(redact(&text, &findings).len() <= text.len() + 30 * findings.len());
    }

    #[test]
    fn numbers_and_signs_may_be_scanned(text in "[0-9 ().+/@:x-]{0,80}") {
        let findings = Scanner::new(Entities::ALL).scan(&text);
        prop_assert!(redact(&text, &findings).matches('[').count() == findings.len());
    }
}

#[test]
fn prose_is_decided_up_to_its_last_word() {
    let scanner = Scanner::new(Entities::ALL);
    for (text, word) in [
        ("The quick brown fox jumps over", "over"),
        ("The quick brown fox jumps ", ""),
        ("It took 30 days to write the whole", "whole"),
        ("We shipped 4711 of them on 12 May 2024, and that was", "was"),
        ("That was all paid by AB", "AB"),
    ] {
        let mut findings = Vec::new();
        let decided = Detector::scan(&scanner, text, 0, false, &mut findings);
        assert_eq!((&text[decided..], findings.as_slice()), (word, [].as_slice()), "{text}");
    }
}

#[test]
fn numbers_of_many_countries_are_found_by_their_check_digits() {
    for (entity, case) in [
        ("us_itin", "the number «911-64-1234» is mine"),
        ("aba_routing_number", "routing number «121042882»"),
        ("us_npi", "NPI: «1234567893»"),
        ("us_mbi", "«1EG4-TE5-MK73»"),
        ("uk_nhs", "NHS number «943 476 5919»"),
        ("uk_nino", "«AB 12 34 56 C»"),
        ("uk_driving_licence", "«MORGA607054SM9IJ»"),
        ("uk_vehicle_registration", "my car «AB51 ABC»"),
        ("de_tax_id", "Steuer-ID «86095742719»"),
        ("de_social_security", "«15070649C103»"),
        ("de_vat_id", "«DE136695976»"),
        ("de_kfz", "Kennzeichen «B-AB 1234»"),
        ("fr_nir", "«2 55 08 14 168 025 38»"),
        ("es_nif", "«12345678Z»"),
        ("es_nie", "«X9613851N»"),
        ("it_fiscal_code", "«RSSMRA85T10A562S»"),
        ("pl_pesel", "PESEL «44051401359»"),
        ("in_aadhaar", "«3998 7654 3211»"),
        ("in_pan", "«ABCPE1234F»"),
        ("au_abn", "«51 824 753 556»"),
        ("sg_nric_fin", "«S1234567D»"),
        ("br_cpf", "«111.444.777-35»"),
        ("br_cnpj", "«11.222.333/0001-81»"),
        ("kr_brn", "«104-86-56659»"),
        ("th_tnin", "«1-2345-67890-12-1»"),
        ("tr_national_id", "kimlik «10000000146»"),
        ("se_personnummer", "«19910924-2397»"),
        ("fi_personal_identity_code", "«131052-308T»"),
        ("za_id_number", "«8001015009087»"),
        ("ca_sin", "SIN «130-692-544»"),
        ("nl_bsn", "BSN «111222333»"),
        ("be_national_number", "«85.07.30-033.28»"),
        ("pt_nif", "NIF «123456789»"),
        ("ch_ahv", "«756.9217.0769.85»"),
        ("at_social_security", "«1237 010180»"),
        ("ie_pps", "PPS «1234567T»"),
        ("cn_id_card", "«11010519491231002X»"),
        ("jp_my_number", "my number «123456789018»"),
        ("hk_id_card", "«A123456(3»)"),
        ("tw_national_id", "Taiwan «A123456789»"),
        ("mx_curp", "«BOXW310820HNERXN09»"),
        ("mac_address", "MAC «01-23-45-67-89-AB»"),
        ("mac_address", "at «00:1a:2b:3c:4d:5e»!"),
        ("crypto", "pay «bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4» now"),
        ("date_of_birth", "She was born on «March 5th, 1990» there"),
        ("url_credentials", "https://«bob:hunter2»@example.com/x"),
    ] {
        finds(entity, &[case]);
    }
}

#[test]
fn the_same_numbers_with_a_wrong_digit_are_left_alone() {
    finds_nothing(&[
        "the number 911-93-1234 is mine",
        "1EG4-TE5-MI73",
        "AB 12 34 56 Z",
        "a car of 1951 ABC",
        "the code 12345678A",
        "3998 7654 3212",
        "the code 51 824 753 557 is",
        "the code 111.444.777-36 is",
        "85.07.30-033.29",
        "756.9217.0769.86",
        "pay bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5 now",
        "the meeting is on March 5th, 1990",
        "https://example.com/bob:hunter2",
        "ORD-121042882",
    ]);
}

#[test]
fn a_word_raises_confidence_and_another_lowers_it() {
    let confidence = |text: &str| proof::whole(&Scanner::new(Entities::ALL), text)[0].confidence;
    let told = confidence("my PESEL is 44051401359 as you know");
    let silent = confidence("what of 44051401359 as you know");
    let denied = confidence("the order 44051401359 is late");
    assert!(told > 90 && silent < 50 && denied < silent, "{told} {silent} {denied}");
}
