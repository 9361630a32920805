//! The events that conversations are made of, by their names.

/// An event that is used. All others are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// `conversation.messageText` of the user: what was typed, once a round.
    UserText,
    /// `conversation.messageText` of the model: what one round answered.
    ModelText,
    /// `conversation.messageText` that repeats a user's text as off topic.
    OffTopic,
    /// `interactiveSessionMessage`: begin of a round.
    SessionMessage,
    /// `interactiveSessionResponse`: end of a round.
    SessionResponse,
    /// `toolCallDetailsInternal`: how often which tool was called, once a request.
    ToolCallDetails,
    /// `engine.messages.length`: a model call, with lengths in place of texts.
    MessageLengths,
    /// `engine.messages`: a model call, with its texts.
    Messages,
    /// `model.request.options.added`: options of a model call, shared by a window's calls.
    OptionsAdded,
    /// `model.message.added`: a message, shared by a window's calls.
    MessageAdded,
    /// `model.modelCall.input`: which messages a model call was given.
    CallInput,
    /// `model.modelCall.output`: which messages a model call gave.
    CallOutput,
}

impl EventKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::UserText,
        Self::ModelText,
        Self::OffTopic,
        Self::SessionMessage,
        Self::SessionResponse,
        Self::ToolCallDetails,
        Self::MessageLengths,
        Self::Messages,
        Self::OptionsAdded,
        Self::MessageAdded,
        Self::CallInput,
        Self::CallOutput,
    ];

    /// Its name in reports: the event's, and for texts whose.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserText => "conversation.messageText/user",
            Self::ModelText => "conversation.messageText/model",
            Self::OffTopic => "conversation.messageText/offTopic",
            Self::SessionMessage => "interactiveSessionMessage",
            Self::SessionResponse => "interactiveSessionResponse",
            Self::ToolCallDetails => "toolCallDetailsInternal",
            Self::MessageLengths => "engine.messages.length",
            Self::Messages => "engine.messages",
            Self::OptionsAdded => "model.request.options.added",
            Self::MessageAdded => "model.message.added",
            Self::CallInput => "model.modelCall.input",
            Self::CallOutput => "model.modelCall.output",
        }
    }

    /// Whether rows of it are found by their own id, whatever conversation they carry: other
    /// conversations of the same window name them.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::OptionsAdded | Self::MessageAdded)
    }

    /// Whether it belongs to a model call, and so has the call's id.
    pub fn is_of_call(self) -> bool {
        matches!(
            self,
            Self::MessageLengths | Self::Messages | Self::CallInput | Self::CallOutput
        )
    }

    /// Whether its rows say in which mode the request was made, at least in some versions.
    pub fn has_mode(self) -> bool {
        matches!(self, Self::UserText | Self::ModelText | Self::OffTopic)
    }

    /// The event that a row's decoded `Name` and, for message texts, `source` name.
    pub fn of(name: &[u8], source: &[u8]) -> Option<Self> {
        let event = name_without_prefix(name)?;
        Some(match event {
            b"conversation.messageText" => match source {
                b"user" => Self::UserText,
                b"model" => Self::ModelText,
                b"offTopic" => Self::OffTopic,
                _ => return None,
            },
            b"interactiveSessionMessage" => Self::SessionMessage,
            b"interactiveSessionResponse" => Self::SessionResponse,
            b"toolCallDetailsInternal" => Self::ToolCallDetails,
            b"engine.messages.length" => Self::MessageLengths,
            b"engine.messages" => Self::Messages,
            b"model.request.options.added" => Self::OptionsAdded,
            b"model.message.added" => Self::MessageAdded,
            b"model.modelCall.input" => Self::CallInput,
            b"model.modelCall.output" => Self::CallOutput,
            _ => return None,
        })
    }

    /// Whether a decoded `Name` may be that of an event that is used.
    pub fn is_used(name: &[u8]) -> bool {
        Self::of(name, b"user").is_some()
    }
}

/// The event of a name whose prefix is one of the extension's.
fn name_without_prefix(name: &[u8]) -> Option<&[u8]> {
    let slash = memchr::memrchr(b'/', name)?;
    let (prefix, event) = (&name[..slash], &name[slash + 1..]);
    matches!(
        prefix,
        b"GitHub.copilot-chat" | b"GitHub.copilot.chat" | b"copilot-chat"
    )
    .then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_named_behind_one_of_the_prefixes() {
        for prefix in ["GitHub.copilot-chat", "GitHub.copilot.chat", "copilot-chat"] {
            for kind in EventKind::ALL {
                let (event, source) = match kind.name().split_once('/') {
                    Some((event, source)) => (event, source),
                    None => (kind.name(), ""),
                };
                let name = format!("{prefix}/{event}");
                let found = EventKind::of(name.as_bytes(), source.as_bytes());
                assert_eq!(found, Some(kind));
                assert!(EventKind::is_used(name.as_bytes()));
            }
        }
        for name in [
            "",
            "engine.messages",
            "/engine.messages",
            "other/engine.messages",
            "GitHub.copilot-chat/engine.messages.more",
            "GitHub.copilot-chat/x/engine.messages",
            "GitHub.copilot-chat/model.request.added",
        ] {
            assert_eq!(EventKind::of(name.as_bytes(), b"user"), None, "{name}");
        }
        let text = b"GitHub.copilot-chat/conversation.messageText";
        assert_eq!(EventKind::of(text, b"somebody"), None);
    }

    #[test]
    fn numbers_are_places() {
        for (place, kind) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }
}
