use super::Era;
use super::calls::Sender;
use super::request::{Request, Round, Window};
use super::units::of_text;

fn window() -> Window {
    Window {
        id: "w".to_owned(),
        system: "s".to_owned(),
        tools: "[]".to_owned(),
        tool_names: "[]".to_owned(),
        sends_shared: false,
    }
}

fn request(position: u32) -> Request {
    let round = |text: &str| Round {
        text: of_text(text),
        uses: Vec::new(),
        prompt_tokens: 1,
        completion_tokens: 1,
    };
    Request {
        position,
        at_ms: 10_000 * i64::from(position),
        round_ms: 500,
        mode: "agent".to_owned(),
        user: of_text("u"),
        rounds: vec![round("a"), round(""), round("b")],
    }
}

#[test]
fn a_host_tells_texts_before_a_round_ends_and_details_when_all_have() {
    let window = window();
    let mut sender = Sender::new(Era::AgentHost, &window, "c", "n");
    sender.send(&request(1));
    sender.send(&request(2));
    let sent: Vec<_> = (sender.into_events().iter())
        .map(|event| (event.at_ms, event.name()))
        .collect();
    let of_request = |at_ms: i64| {
        [
            (at_ms, "conversation.messageText"),
            (at_ms + 498, "conversation.messageText"),
            (at_ms + 1498, "conversation.messageText"),
            (at_ms + 1499, "toolCallDetailsInternal"),
        ]
    };
    assert_eq!(sent, [of_request(10_000), of_request(20_000)].concat());
}

#[test]
fn a_call_has_the_id_of_its_request_and_round() {
    let window = window();
    let mut sender = Sender::new(Era::AgentHost, &window, "c", "n");
    let mut ids = Vec::new();
    for position in 1..=2 {
        sender.send(&request(position));
        ids.extend([0, 1].map(|round| sender.call_id(round)));
    }
    let expected = [65_536, 65_537, 131_072, 131_073];
    assert_eq!(ids, expected.map(|number| sender.uuid("call", number)));
}
