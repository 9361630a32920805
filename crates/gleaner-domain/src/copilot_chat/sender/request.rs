//! A request of a user, and what it is made in.

use super::units::Units;

/// A call of a tool, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolUse {
    /// Its name.
    pub tool: String,
    /// Its arguments: JSON.
    pub arguments: String,
    /// What it answered.
    pub result: String,
}

/// A call of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// What it said.
    pub text: Units,
    /// The tools that it called.
    pub uses: Vec<ToolUse>,
    /// Tokens of its prompt.
    pub prompt_tokens: u64,
    /// Tokens of its answer.
    pub completion_tokens: u64,
}

/// A request of a user with everything that followed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its place among the conversation's turns, from 1 on.
    pub position: u32,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: i64,
    /// How long a round takes, in milliseconds.
    pub round_ms: i64,
    /// The mode.
    pub mode: String,
    /// What the user typed.
    pub user: Units,
    /// The calls of the model, at least one.
    pub rounds: Vec<Round>,
}

/// A window of the editor: what its conversations send once for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its id; ids of shared messages follow from it.
    pub id: String,
    /// The system's message.
    pub system: String,
    /// Definitions of the tools that are offered: a JSON array.
    pub tools: String,
    /// Names of these tools: a JSON array.
    pub tool_names: String,
    /// Whether this conversation is the one that sends what is shared.
    pub sends_shared: bool,
}
