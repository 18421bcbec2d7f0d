//! What an answer tells that it used.

use serde_json::{Value, json};

use crate::chat::{ChatAnswer, Operation};

#[test]
fn sound_images_and_the_way_a_call_was_served_are_told_apart() {
    let usage = |told: Value| *ChatAnswer::read(told.to_string().as_bytes()).unwrap().usage();
    let told = usage(json!({"service_tier": "Priority", "usage": {
        "prompt_tokens": 100, "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 20, "image_tokens": 40,
                                  "cached_tokens_details": {"audio_tokens": 5, "text_tokens": 25}},
        "completion_tokens_details": {"audio_tokens": 7, "image_tokens": 8}}}));
    assert_eq!(
        (told.audio_prompt, told.cached_audio, told.image_prompt),
        (Some(20), Some(5), Some(40))
    );
    assert_eq!((told.audio_completion, told.image_completion), (Some(7), Some(8)));
    assert_eq!(told.service_tier.unwrap().word(), "priority");
    let inside = usage(json!({"usage": {"prompt_tokens": 1, "service_tier": "flex"}}));
    assert_eq!(inside.service_tier.unwrap().word(), "flex");
    for odd in [
        json!(null),
        json!(7),
        json!(""),
        json!("a b"),
        json!("x".repeat(17)),
        json!("é"),
    ] {
        assert_eq!(usage(json!({"service_tier": odd})).service_tier, None, "{odd}");
    }
}

#[test]
fn seconds_of_sound_are_whole_milliseconds() {
    let heard = |told: Value| {
        ChatAnswer::read_as(told.to_string().into_bytes(), Operation::Transcriptions)
            .unwrap()
            .usage()
            .audio_ms
    };
    assert_eq!(
        heard(json!({"text": "Hi", "usage": {"type": "duration", "seconds": 9}})),
        Some(9_000)
    );
    assert_eq!(
        heard(json!({"text": "Hi", "duration": 8.470_000_095_367_432})),
        Some(8_471)
    );
    assert_eq!(heard(json!({"text": "Hi", "duration": "2.5"})), Some(2_500));
    assert_eq!(
        heard(json!({"text": "Hi", "usage": {"prompt_audio_seconds": 4}})),
        Some(4_000)
    );
    assert_eq!(heard(json!({"duration": 7, "usage": {"seconds": 8}})), Some(8_000));
    assert_eq!(heard(json!({"usage": {"seconds": 8}, "duration": 7})), Some(8_000));
    for odd in [
        json!(null),
        json!(-1),
        json!("1e3"),
        json!("x"),
        json!(""),
        json!("1."),
        json!([1]),
    ] {
        assert_eq!(heard(json!({"duration": odd})).unwrap_or(1_000), 1_000, "{odd}");
    }
}

#[test]
fn reasoning_left_out_of_the_completion_is_billed() {
    let billed = |usage: Value| {
        *ChatAnswer::read(json!({"usage": usage}).to_string().as_bytes())
            .unwrap()
            .usage()
    };
    let xai = json!({"prompt_tokens": 140, "completion_tokens": 38, "total_tokens": 322,
                     "completion_tokens_details": {"reasoning_tokens": 144}});
    assert_eq!(billed(xai).billed_completion(), Some(182));
    let openai = json!({"prompt_tokens": 50, "completion_tokens": 4170, "total_tokens": 4220,
                        "completion_tokens_details": {"reasoning_tokens": 4032}});
    assert_eq!(billed(openai).billed_completion(), Some(4170));
    assert_eq!(
        billed(json!({"prompt_tokens": 5, "total_tokens": 9})).billed_completion(),
        Some(4)
    );
    assert_eq!(billed(json!({"completion_tokens": 7})).billed_completion(), Some(7));
}

#[test]
fn garbage_numbers_are_absent_numbers() {
    for garbage in [
        json!(-1),
        json!(1.5),
        json!("12"),
        json!(true),
        json!(null),
        json!([1]),
        json!(1e300),
        json!(1_u64 << 40),
    ] {
        let body = json!({"usage": {"prompt_tokens": garbage, "completion_tokens": 1}}).to_string();
        let usage = *ChatAnswer::read(body.as_bytes()).unwrap().usage();
        assert_eq!((usage.prompt, usage.completion), (None, Some(1)), "{garbage}");
    }
}
