//! One character as an attack's reader sees it: lower case, without accents, lookalikes as the letters they pass for.

/// What a character is once case, accents and disguise are off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    /// A letter or digit of ASCII, in lower case; `disguised` when it was written with another character that only styles it.
    Plain { byte: u8, disguised: bool },
    /// A letter of another script that passes for this one of ASCII.
    Lookalike { original: char, byte: u8 },
    /// A sign of a script that writes words without spaces between them.
    Ideograph(char),
    /// Another letter, in lower case.
    Other(char),
    /// Punctuation or a symbol: the byte, or 0 outside ASCII.
    Sign(u8),
    /// White space but no line break.
    Space,
    /// A line break.
    Newline,
    /// Nothing that anybody sees: zero-width and steering characters, variation selectors, combining marks.
    Unseen,
}

/// First code point and, one for each that follows, the ASCII letter it stands for; `.` where there is none. From Unicode's
/// compatibility decompositions (UAX 15) and the confusables of UTS 39 that are letters of a living script.
const LATIN: &[(u32, &str)] = &[
    (
        0xc0,
        "aaaaaaaceeeeiiiidnooooo.ouuuuypsaaaaaaaceeeeiiiidnooooo.ouuuuypyaaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiii\
         jjkk.llllllllllnnnnnn...oooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs.b..b..ccdd......ffg...ikk...n.ooo..pp......\
         tt.uu...yzz.............dddlllnnnaaiioouuuuuuuuuu.aaaaaa..ggkkoooo..jdddgg..nnaaaaooaaaaeeeeiiiioooorrrruuuusstt..hh....\
         ..aaeeooooooooyy...............b...e.......y",
    ),
    (
        0x250,
        "aa.b...dee.e....ggg..hh.iiil...w.mn.no...r....r.r.s....tt..vvmyyz........b..h.kl................",
    ),
    (
        0x1e00,
        "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmmmmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuu\
         uuuuuuuvvvvwwwwwwwwwwxxxxyyzzzzzzhtwyas....aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeeeeeeeeeeeiiiioooooooooooooooooooooooouuuuuuuu\
         uuuuuuyyyyyyyy......",
    ),
];
/// Letters that only style others: small capitals, superscripts, letterlike symbols.
const STYLED: &[(u32, &str)] = &[
    (
        0x1d00,
        "a...cd.e..jk.m.o........p..tu...vwz.........aab.de.ghijklmn.o.prtuwaaa.bdeee.g.km.o...ptu.wv.by..xiruvbyp.x.............h.......",
    ),
    (0x2070, "0i..456789.....n0123456789......aeoxehklmnpst..."),
    (
        0x2100,
        "aac..cc...ghhhhhiill.nn..pqrrr..stt.z...z.kabceeef.mo....i.f.y.......ddeij......",
    ),
];
/// Greek and Cyrillic letters that pass for Latin ones.
const LOOKALIKES: &[(u32, &str)] = &[
    (
        0x370,
        "......................a.ehi.o.y.iab..ezh.ik.mn.o.p..ty.x..iyaeniyaby.ezn.ik.uv.o.p.oty.x.wiyoyw.b.yyy...........................kpcj.e..........",
    ),
    (
        0x400,
        "ee...siij...k.y.a.b..e....k.mho.pcty.x..........a.b..e....k.mho.pcty.x..........ee..esiij...k.y......................v.v..",
    ),
    (
        0x4b0,
        "..........hh.e.................laaaa..ee..............oo......yyyyyy.............d..........gg.............qww..",
    ),
];

fn listed(blocks: &[(u32, &str)], point: u32) -> Option<u8> {
    let (first, letters) = blocks.iter().rev().find(|(first, _)| *first <= point)?;
    let letter = *letters.as_bytes().get(usize::try_from(point - first).ok()?)?;
    (letter != b'.').then_some(letter)
}

/// The letter at `place` of the alphabet, counted round.
fn letter(place: u32) -> u8 {
    b"abcdefghijklmnopqrstuvwxyz"[usize::try_from(place % 26).unwrap_or(0)]
}

fn digit(place: u32) -> u8 {
    b"0123456789"[usize::try_from(place % 10).unwrap_or(0)]
}

fn ascii(byte: u8) -> Fold {
    match byte {
        b'a'..=b'z' | b'0'..=b'9' => Fold::Plain { byte, disguised: false },
        b'A'..=b'Z' => Fold::Plain {
            byte: byte | 32,
            disguised: false,
        },
        b'\n' | b'\r' => Fold::Newline,
        b' ' | b'\t' => Fold::Space,
        0..=31 | 127.. => Fold::Unseen,
        _ => Fold::Sign(byte),
    }
}

/// Reads one character.
pub(super) fn fold(character: char) -> Fold {
    let point = u32::from(character);
    if let Ok(byte) = u8::try_from(point)
        && byte < 128
    {
        return ascii(byte);
    }
    match point {
        0xad
        | 0x300..=0x36f
        | 0x600..=0x605
        | 0x61c
        | 0x180b..=0x180e
        | 0x200b..=0x200f
        | 0x202a..=0x202e
        | 0x2060..=0x206f
        | 0x20d0..=0x20ff
        | 0x3164
        | 0xfe00..=0xfe0f
        | 0xfeff
        | 0xffa0
        | 0x1bca0..=0x1bca3
        | 0xe0000..=0xe001f
        | 0xe007f
        | 0xe0100..=0xe01ef => return Fold::Unseen,
        0x85 | 0x2028 | 0x2029 => return Fold::Newline,
        0xe0020..=0xe007e => return unhidden(point - 0xe0000),
        0xff01..=0xff5e => return unhidden(point - 0xfee0),
        0x2e80..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff => {
            return if character.is_alphanumeric() {
                Fold::Ideograph(character)
            } else {
                Fold::Sign(0)
            };
        }
        _ => {}
    }
    if let Some(byte) = styled(point) {
        return Fold::Plain { byte, disguised: true };
    }
    if let Some(byte) = listed(LATIN, point) {
        return Fold::Plain { byte, disguised: false };
    }
    if let Some(byte) = listed(LOOKALIKES, point) {
        return Fold::Lookalike {
            original: character.to_lowercase().next().unwrap_or(character),
            byte,
        };
    }
    if character.is_whitespace() {
        return Fold::Space;
    }
    if character.is_alphanumeric() {
        return Fold::Other(character.to_lowercase().next().unwrap_or(character));
    }
    Fold::Sign(0)
}

/// An ASCII character that was written with a tag or full-width character.
fn unhidden(point: u32) -> Fold {
    match u8::try_from(point).map(ascii) {
        Ok(Fold::Plain { byte, .. }) => Fold::Plain { byte, disguised: true },
        Ok(fold) => fold,
        Err(_) => Fold::Unseen,
    }
}

/// The letter behind a mathematical, enclosed or raised one.
fn styled(point: u32) -> Option<u8> {
    match point {
        0x1d400..=0x1d6a3 => Some(letter(point - 0x1d400)),
        0x1d7ce..=0x1d7ff => Some(digit(point - 0x1d7ce)),
        0x24b6..=0x24e9 => Some(letter(point - 0x24b6)),
        0x249c..=0x24b5 => Some(letter(point - 0x249c)),
        0x2460..=0x2468 => Some(digit(point - 0x2460 + 1)),
        0x1f110..=0x1f129 => Some(letter(point - 0x1f110)),
        0x1f130..=0x1f149 => Some(letter(point - 0x1f130)),
        0x1f150..=0x1f169 => Some(letter(point - 0x1f150)),
        0x1f170..=0x1f189 => Some(letter(point - 0x1f170)),
        0x1f1e6..=0x1f1ff => Some(letter(point - 0x1f1e6)),
        0xa730 => Some(b'f'),
        0xa731 => Some(b's'),
        _ => listed(STYLED, point),
    }
}
