//! The rules: everything that a conversion leaves out, changes or makes up, each with a stable code.

/// What a rule does to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The record is not written.
    RecordDropped,
    /// The record ends before a turn.
    TurnsDropped,
    /// A part of a turn is not written.
    LeftOut,
    /// Something is written in another form; its value is there.
    Changed,
    /// Written as it is; something about it is not known.
    Noted,
}

impl Effect {
    /// The word that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::RecordDropped => "record dropped",
            Self::TurnsDropped => "turns dropped",
            Self::LeftOut => "left out",
            Self::Changed => "changed",
            Self::Noted => "noted",
        }
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $code:literal, $effect:ident;)+) => {
        /// A rule, in the order of reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $($(#[$doc])* $rule,)+ }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$rule,)+];

            /// The stable name, as reports and `metadata.json` use it.
            pub fn code(self) -> &'static str {
                match self { $(Self::$rule => $code,)+ }
            }

            /// What it does.
            pub fn effect(self) -> Effect {
                match self { $(Self::$rule => Effect::$effect,)+ }
            }
        }
    };
}

rules! {
    /// A turn has neither text of the model nor a call.
    EmptyReply = "empty_reply", RecordDropped;
    /// A call has no result, and such records are not wanted.
    UnfinishedRecord = "unfinished_record", RecordDropped;
    /// No turn is left.
    NothingLeft = "nothing_left", RecordDropped;
    /// A call has no result: the turn and all after it are not written.
    CallWithoutResult = "call_without_result", TurnsDropped;
    /// A turn ends with a result, and the loader needs an answer behind it.
    NoFinalText = "no_final_text", TurnsDropped;
    /// Arguments are no JSON: the call and what follows in its turn are not written.
    ArgumentsNotJson = "arguments_not_json", LeftOut;
    /// A message of the user is left without an answer.
    UnansweredUser = "unanswered_user", LeftOut;
    /// A result belongs to no call.
    OrphanResult = "orphan_result", LeftOut;
    /// A text of the model that is neither the answer nor stands beside a call.
    TextLeftOut = "text_left_out", LeftOut;
    /// A text beside a call, where the loader takes one of both.
    TextBesideCall = "text_beside_call", LeftOut;
    /// A message of another role within a trajectory.
    OtherRole = "other_role", LeftOut;
    /// A part of a message that is no text, such as an image.
    PartLeftOut = "part_left_out", LeftOut;
    /// Tools that are not a list of objects with names.
    ToolsUnreadable = "tools_unreadable", LeftOut;
    /// Arguments that are no object stand under the key `value`.
    WrappedArguments = "wrapped_arguments", Changed;
    /// A call without arguments: an empty object.
    EmptyArguments = "empty_arguments", Changed;
    /// A result that is no text: its JSON.
    ResultIsJson = "result_is_json", Changed;
    /// Calls of one message stand in messages of their own.
    ParallelCallsSplit = "parallel_calls_split", Changed;
    /// A call without an id was given one.
    MadeCallId = "made_call_id", Changed;
    /// The id of a call was replaced by one that the loader takes.
    CallIdRewritten = "call_id_rewritten", Changed;
    /// The name of a tool has characters that the loader refuses, or too many: others stand for them.
    ToolNameRewritten = "tool_name_rewritten", Changed;
    /// The definition of a tool was put into the form of chat messages.
    ToolsRewritten = "tools_rewritten", Changed;
    /// A result without an id was given to the call at its place.
    PairedByPosition = "paired_by_position", Noted;
    /// Actions that are not calls: text, or only counts.
    NoCalls = "no_calls", Noted;
    /// A text stands beside a call, which some versions of the loader refuse.
    TextWithCalls = "text_with_calls", Noted;
    /// A call has no result and is written without one.
    CallWithoutResultKept = "call_without_result_kept", Noted;
    /// The record does not say which tools there were, and has calls.
    NoTools = "no_tools", Noted;
    /// A call of a tool that is not among the record's tools.
    UnknownTool = "unknown_tool", Noted;
}

/// How often each rule applied to one record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings([u32; Rule::ALL.len()]);

impl Findings {
    /// Counts a rule once more.
    pub fn add(&mut self, rule: Rule) {
        self.0[rule as usize] += 1;
    }

    /// How often a rule applied.
    pub fn times(&self, rule: Rule) -> u32 {
        self.0[rule as usize]
    }

    /// The rules that applied, each with its number of times, in the order of reports.
    pub fn iter(&self) -> impl Iterator<Item = (Rule, u32)> {
        let counts = Rule::ALL.iter().copied().zip(self.0);
        counts.filter(|&(_, times)| times > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_distinct_and_counted_apart() {
        let codes: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.code()).collect();
        assert_eq!(codes.len(), Rule::ALL.len());
        let mut findings = Findings::default();
        for &rule in Rule::ALL {
            findings.add(rule);
        }
        findings.add(Rule::NoTools);
        assert!(
            findings
                .iter()
                .all(|(rule, times)| times == 1 + u32::from(rule == Rule::NoTools))
        );
    }
}
