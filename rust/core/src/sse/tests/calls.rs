//! The index of a chat's tool calls, put right.

use super::super::{Manner, Relay};

fn relayed(pieces: &[&str]) -> Vec<u8> {
    let mut relay = Relay::new(Manner::default(), 1 << 20, 1 << 20);
    let mut out = Vec::new();
    for piece in pieces {
        let event = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{piece}]}}}}]}}\n\n");
        out.extend_from_slice(&relay.feed(event.as_bytes()).expect("small"));
    }
    out
}

fn indexes(pieces: &[&str]) -> Vec<usize> {
    let told = String::from_utf8(relayed(pieces)).expect("text");
    let (_, rest) = told.split_once("tool_calls").expect("calls");
    rest.split("\"index\":")
        .skip(1)
        .filter(|after| !after.starts_with("0,\"delta\""))
        .map(|after| after[..1].parse().expect("a digit"))
        .collect()
}

const A: &str = r#"{"index":0,"id":"a","function":{"name":"f","arguments":""}}"#;
const B: &str = r#"{"index":1,"id":"b","function":{"name":"g","arguments":""}}"#;

#[test]
fn calls_in_order_pass_as_they_came() {
    let pieces = [A, r#"{"index":0,"function":{"arguments":"{}"}}"#, B];
    let told = relayed(&pieces);
    let sent = pieces
        .map(|piece| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{piece}]}}}}]}}\n\n"));
    assert_eq!(told, sent.concat().into_bytes());
}

#[test]
fn a_missing_index_is_told() {
    let a = r#"{"id":"a","function":{"name":"f","arguments":"{}"}}"#;
    let b = r#"{ "id":"b","function":{"name":"g","arguments":"{"}}"#;
    let more = r#"{"index":null,"function":{"arguments":"}"}}"#;
    assert_eq!(indexes(&[a, b, more]), [0, 1, 1]);
    assert_eq!(indexes(&[&[a, b].join(",")]), [0, 1]);
}

#[test]
fn the_same_index_for_all_is_told_apart_by_the_ids() {
    let b = B.replace("\"index\":1", "\"index\":0");
    let more = r#"{"index":0,"function":{"arguments":"{}"}}"#;
    assert_eq!(indexes(&[A, more, &b, more]), [0, 0, 1, 1]);
}

#[test]
fn a_jumping_index_is_counted_from_zero_on() {
    let a = A.replace("\"index\":0", "\"index\":7");
    let more = r#"{"index":7,"function":{"arguments":"{}"}}"#;
    assert_eq!(indexes(&[&a, B, more]), [0, 1, 0]);
}

#[test]
fn an_id_told_again_is_the_same_call() {
    let again = r#"{"id":"a","function":{"arguments":"{}"}}"#;
    assert_eq!(indexes(&[A, B, again]), [0, 1, 0]);
}

#[test]
fn calls_of_another_choice_are_counted_by_themselves() {
    let mut relay = Relay::new(Manner::default(), 1 << 20, 1 << 20);
    let call = |choice: usize| {
        format!(
            r#"{{"choices":[{{"index":{choice},"delta":{{"tool_calls":[{{"index":0,"id":"c{choice}","function":{{"name":"f"}}}}]}}}}]}}"#
        )
    };
    for choice in 0..3 {
        let event = format!("data: {}\n\n", call(choice));
        assert_eq!(&*relay.feed(event.as_bytes()).expect("small"), event.as_bytes());
    }
}

#[test]
fn more_calls_than_any_model_makes_pass_as_they_are() {
    let pieces: Vec<String> = (0..1100)
        .map(|number| format!(r#"{{"id":"c{number}","function":{{"name":"f","arguments":"{{}}"}}}}"#))
        .collect();
    let told = String::from_utf8(relayed(&pieces.iter().map(String::as_str).collect::<Vec<_>>())).expect("text");
    assert!(told.contains(r#"{"index":1023,"id":"c1023""#));
    assert!(told.contains(r#"{"id":"c1024""#));
}

#[test]
fn broken_text_is_never_cut_wrongly() {
    for broken in [
        r#"{"id":"a","function":{"name":"#,
        "{\"id\":\"a\"",
        "{",
        "[",
        "\"",
        r#"{"index":}"#,
    ] {
        let told = relayed(&[broken, A, broken]);
        assert!(told.ends_with(b"\n\n"));
    }
}

#[test]
fn payloads_are_put_right_for_translators_too() {
    let mut relay = Relay::new(Manner::default(), 1 << 20, 1 << 20);
    let mut told = Vec::new();
    for (number, framing) in ["data: ", ":\ndata: "].into_iter().enumerate() {
        let piece = format!(r#"{{"id":"c{number}","function":{{"name":"f"}}}}"#);
        let event = format!("{framing}{{\"choices\":[{{\"delta\":{{\"tool_calls\":[{piece}]}}}}]}}\n\n");
        relay
            .feed_payloads(event.as_bytes(), |payload| told.push(payload.to_vec()))
            .expect("small");
    }
    let told: Vec<String> = told
        .into_iter()
        .map(|payload| String::from_utf8(payload).expect("text"))
        .collect();
    assert!(told[0].contains(r#"[{"index":0,"id":"c0""#));
    assert!(told[1].contains(r#"[{"index":1,"id":"c1""#));
}
