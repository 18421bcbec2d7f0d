#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::{BadFrame, Frame, Frames, Value};

const MAX: usize = 1 << 16;

fn encoded(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = u32::try_from(16 + headers.len() + payload.len()).unwrap();
    let mut frame = total.to_be_bytes().to_vec();
    frame.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend(payload);
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame
}

fn header(name: &str, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut header = vec![u8::try_from(name.len()).unwrap()];
    header.extend(name.as_bytes());
    header.push(kind);
    header.extend(value);
    header
}

fn named(name: &str, value: &str) -> Vec<u8> {
    let mut sized = u16::try_from(value.len()).unwrap().to_be_bytes().to_vec();
    sized.extend(value.as_bytes());
    header(name, 7, &sized)
}

/// The frames of `stream`, fed in chunks of `size`, as text.
fn run(stream: &[u8], size: usize) -> (Vec<String>, Result<(), BadFrame>) {
    let (mut frames, mut found) = (Frames::new(MAX), Vec::new());
    let fed = stream
        .chunks(size)
        .try_for_each(|chunk| frames.feed(chunk, |frame| found.push(format!("{frame:?}"))));
    (found, fed.and_then(|()| frames.finish()))
}

fn one(frame: &[u8]) -> Result<(), BadFrame> {
    run(frame, usize::MAX).1
}

#[test]
fn the_published_example_of_an_empty_frame_is_read() {
    let frame = [0, 0, 0, 16, 0, 0, 0, 0, 5, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
    let (found, ended) = run(&frame, 1);
    assert_eq!(ended, Ok(()));
    assert_eq!(
        found,
        [format!(
            "{:?}",
            Frame {
                headers: Vec::new(),
                payload: b""
            }
        )]
    );
}

#[test]
fn every_type_of_header_is_read() {
    let mut headers = named(":event-type", "messageStart");
    for (name, kind, value) in [
        ("t", 0, &[][..]),
        ("f", 1, &[]),
        ("i8", 2, &[0xff]),
        ("i16", 3, &[0xff, 0xfe]),
        ("i32", 4, &[0, 0, 1, 0]),
        ("i64", 5, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
        ("b", 6, &[0, 2, 7, 8]),
        ("s", 8, &[0, 0, 0, 0, 0, 0, 0, 9]),
        ("u", 9, &[3; 16]),
    ] {
        headers.extend(header(name, kind, value));
    }
    let bytes = encoded(&headers, b"{}");
    let mut seen = 0;
    Frames::new(MAX)
        .feed(&bytes, |frame| {
            seen += 1;
            assert_eq!(frame.payload, b"{}");
            let values: Vec<_> = frame.headers.iter().map(|(_, value)| *value).collect();
            assert_eq!(
                values,
                [
                    Value::Text("messageStart"),
                    Value::Bool(true),
                    Value::Bool(false),
                    Value::Integer(-1),
                    Value::Integer(-2),
                    Value::Integer(256),
                    Value::Integer(i64::MIN),
                    Value::Bytes(&[7, 8]),
                    Value::Timestamp(9),
                    Value::Uuid(&[3; 16]),
                ]
            );
        })
        .unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn headers_that_cannot_be_read_are_an_error() {
    let twice = [named("a", "1"), named("a", "2")].concat();
    let many: Vec<u8> = (0..65).flat_map(|number| header(&number.to_string(), 0, &[])).collect();
    for headers in [
        header("a", 10, &[]),
        header("", 0, &[]),
        header("a", 7, &[0, 9, b'x']),
        header("a", 7, &[0, 1, 0xff]),
        header("a", 5, &[0; 7]),
        vec![200, b'a'],
        vec![1],
        twice,
        many,
    ] {
        assert_eq!(one(&encoded(&headers, b"")), Err(BadFrame::Headers), "{headers:?}");
    }
}

#[test]
fn lengths_that_contradict_each_other_are_an_error() {
    for (total, headers) in [(15_u32, 0_u32), (0, 0), (16, 1), (100, 85), (100, u32::MAX)] {
        let mut frame = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        frame.extend(crc32fast::hash(&frame).to_be_bytes());
        assert_eq!(one(&frame), Err(BadFrame::Lengths));
    }
}

#[test]
fn a_frame_beyond_the_bound_is_refused_by_its_prelude() {
    let frame = encoded(b"", &vec![b'x'; MAX - 16]);
    assert_eq!(one(&frame), Ok(()));
    let larger = encoded(b"", &vec![b'x'; MAX - 15]);
    assert_eq!(one(&larger[..12]), Err(BadFrame::TooLarge { max_frame_bytes: MAX }));
}

#[test]
fn a_failed_stream_stays_failed() {
    let mut frames = Frames::new(MAX);
    let good = encoded(&named("a", "b"), b"{}");
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    assert_eq!(frames.feed(&bad, |_| panic!("no frame")), Err(BadFrame::Checksum));
    assert_eq!(frames.feed(&good, |_| panic!("no frame")), Err(BadFrame::Checksum));
    assert_eq!(frames.finish(), Err(BadFrame::Checksum));
}

#[test]
fn what_is_whole_before_a_cut_is_handed_out() {
    let frame = encoded(&named("a", "b"), b"{}");
    let stream = [frame.clone(), frame[..frame.len() - 1].to_vec()].concat();
    for size in 1..=stream.len() {
        let (found, ended) = run(&stream, size);
        assert_eq!((found.len(), ended), (1, Err(BadFrame::Cut)));
    }
}

proptest! {
    #[test]
    fn frames_are_the_same_however_the_stream_is_cut(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8),
        size in 1_usize..80,
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| encoded(&named(":event-type", "x"), payload)).collect();
        let cut = run(&stream, size);
        prop_assert_eq!(cut.0.len(), payloads.len());
        prop_assert_eq!(cut.1, Ok(()));
        prop_assert_eq!(cut, run(&stream, usize::MAX));
    }

    #[test]
    fn a_flipped_bit_is_always_noticed(payload in prop::collection::vec(any::<u8>(), 0..60), bit in 0_usize..800) {
        let mut frame = encoded(&named("a", "b"), &payload);
        let bit = bit % (frame.len() * 8);
        frame[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(one(&frame).is_err());
    }

    #[test]
    fn nothing_makes_it_panic(headers in prop::collection::vec(any::<u8>(), 0..60), junk in prop::collection::vec(any::<u8>(), 0..60), size in 1_usize..20) {
        let _ = run(&junk, size);
        let _ = run(&encoded(&headers, &junk), size);
    }
}
