//! Keys that no prefix gives away, but a mark at a fixed place or a peculiar build.

use super::form::{Part, Reading, parts};
use super::kind::Kind;
use super::set::{ALNUM, DIGIT, HEX, LOWER, Set, URL64};
use super::value;
use Part::{Either, Run, Text};

struct Shape {
    kind: Kind,
    /// What may begin it.
    begins: Set,
    parts: &'static [Part],
    /// The least entropy, in tenths of a bit.
    floor: u8,
    confidence: u8,
}

const fn shape(kind: Kind, begins: Set, parts: &'static [Part]) -> Shape {
    Shape {
        kind,
        begins,
        parts,
        floor: 30,
        confidence: 90,
    }
}

const SHAPES: &[Shape] = &[
    shape(
        Kind::TerraformToken,
        ALNUM,
        &[Run(ALNUM, 14, 14), Text(".atlasv1."), Run(URL64.and(b'='), 60, 80)],
    ),
    shape(
        Kind::AirtableToken,
        LOWER,
        &[Text("pat"), Run(ALNUM, 14, 14), Text("."), Run(HEX, 64, 64)],
    ),
    shape(
        Kind::AzureClientSecret,
        ALNUM,
        &[
            Run(AZURE, 3, 3),
            Run(DIGIT, 1, 1),
            Text("Q~"),
            Run(AZURE.and(b'-'), 31, 34),
        ],
    ),
    shape(
        Kind::AzureDevopsToken,
        ALNUM,
        &[Run(ALNUM, 76, 76), Text("AZDO"), Run(ALNUM, 4, 4)],
    ),
    shape(
        Kind::AzureKey,
        ALNUM,
        &[Run(ALNUM, 52, 52), Text("JQQJ99"), Run(ALNUM, 20, 30)],
    ),
    shape(
        Kind::MaxmindKey,
        ALNUM,
        &[Run(ALNUM, 6, 6), Text("_"), Run(ALNUM, 29, 29), Text("_mmk")],
    ),
    shape(
        Kind::DiscordToken,
        ALNUM,
        &[
            Run(URL64, 24, 28),
            Text("."),
            Run(URL64, 6, 6),
            Text("."),
            Run(URL64, 27, 40),
        ],
    ),
    shape(
        Kind::TelegramToken,
        DIGIT,
        &[Run(DIGIT, 5, 16), Text(":A"), Run(URL64, 34, 34)],
    ),
    shape(
        Kind::MailchimpKey,
        HEX,
        &[Run(HEX, 32, 32), Text("-us"), Run(DIGIT, 1, 2)],
    ),
    shape(
        Kind::MailgunKey,
        HEX,
        &[Run(HEX, 32, 32), Text("-"), Run(HEX, 8, 8), Text("-"), Run(HEX, 8, 8)],
    ),
    shape(Kind::NewrelicKey, HEX, &[Run(HEX, 36, 36), Text("FFFFNRAL")]),
    shape(
        Kind::FacebookToken,
        DIGIT,
        &[Run(DIGIT, 15, 16), Either(&["|", "%"]), Run(URL64, 27, 40)],
    ),
];

const AZURE: Set = super::set::WORD.and(b'.').and(b'~');

/// The shaped key that begins at `start`, where a token begins.
pub(super) fn read(text: &[u8], start: usize, is_last: bool) -> (Reading, Kind, u8) {
    let mut nothing = (Reading::No, Kind::GenericSecret, 0);
    for shape in SHAPES {
        if !text.get(start).is_some_and(|byte| shape.begins.has(*byte)) {
            continue;
        }
        match parts(shape.parts, text, start, is_last) {
            Reading::No => {}
            Reading::Open => nothing.0 = Reading::Open,
            Reading::Ends(end) => {
                let secret = &text[start..end];
                let random = value::entropy(secret) * 10.0 >= f32::from(shape.floor) && !value::is_placeholder(secret);
                if random && value::Texture::of(secret).digits > 0 {
                    return (Reading::Ends(end), shape.kind, shape.confidence);
                }
            }
        }
    }
    nothing
}
