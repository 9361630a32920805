//! The page: live while a run goes on, a report when it has ended. One file that needs no other.

use super::view::View;

/// The live page: it asks its own server for `events`.
pub const LIVE: &str = concat!(
    include_str!("page/head.html"),
    "<style>\n",
    include_str!("page/style.css"),
    "</style>\n</head>\n",
    include_str!("page/body.html"),
    "<script>\n",
    include_str!("page/view.js"),
    include_str!("page/run.js"),
    include_str!("page/figures.js"),
    include_str!("page/live.js"),
    "</script>\n</body>\n</html>\n",
);

/// The place of the data in the page; `null` makes it a live page.
const SLOT: &str = "type=\"application/json\">null</script>";

/// The page of a run that has ended; it sends no request.
pub fn html(view: &View) -> String {
    // A view always serializes: its keys are strings and its numbers finite.
    let json = serde_json::to_string(view).unwrap_or_else(|_| "null".to_owned());
    // Within a script element only `</` and `<!--` could end it or change how it is read.
    let json = json.replace('<', "\\u003c");
    let filled = format!("type=\"application/json\">{json}</script>");
    LIVE.replacen(SLOT, &filled, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Counters, RunInfo};

    #[test]
    fn a_report_holds_the_view_and_no_name_can_break_out_of_it() {
        assert_eq!(LIVE.matches(SLOT).count(), 1);
        let counters = Counters::default();
        let hostile = "</script><script>alert(1)</script><!--";
        let info = RunInfo {
            id: "1".to_owned(),
            dataset: hostile.to_owned(),
            location: String::new(),
            fingerprint: String::new(),
            seed: String::new(),
            started_at: String::new(),
            resumed: false,
            source: serde_json::Value::Null,
            selection: serde_json::Value::Null,
        };
        counters.info.set(info).expect("once");
        let page = html(&counters.view());
        assert!(!page.contains("<script>alert"));
        let (_, rest) = page
            .split_once("type=\"application/json\">")
            .expect("a slot");
        let (json, _) = rest.split_once("</script>").expect("its end");
        let view: serde_json::Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(view["run"]["dataset"], hostile);
    }
}
