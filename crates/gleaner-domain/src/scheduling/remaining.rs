//! What a start of a run has left to do, after the starts before it.

/// What is left to do; `M` is the manifest that was found at the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining<M> {
    /// Read, sample, write and publish.
    Everything,
    /// The dataset was published, and the run died before it noted that: note it, and give the
    /// claim back.
    Finish(M),
    /// Nothing: the dataset is there, as the run has noted.
    Nothing(M),
    /// The dataset that the run has noted is not there any more: begin a new run in its place.
    StartAgain,
}

impl<M> Remaining<M> {
    /// `is_noted`: an earlier start has noted that it has published; `manifest`: of the run's
    /// dataset, if the sink has it.
    pub fn of(is_noted: bool, manifest: Option<M>) -> Self {
        match (is_noted, manifest) {
            (false, None) => Self::Everything,
            (false, Some(manifest)) => Self::Finish(manifest),
            (true, Some(manifest)) => Self::Nothing(manifest),
            (true, None) => Self::StartAgain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_at_the_sink_decides_what_is_left() {
        assert_eq!(Remaining::<()>::of(false, None), Remaining::Everything);
        assert_eq!(Remaining::of(false, Some(7)), Remaining::Finish(7));
        assert_eq!(Remaining::of(true, Some(7)), Remaining::Nothing(7));
        assert_eq!(Remaining::<()>::of(true, None), Remaining::StartAgain);
    }
}
