use reqwest::header::HeaderName;

use super::answer::retry_after;
use super::*;

#[test]
fn a_timespan_is_hours_minutes_seconds() {
    assert_eq!(timespan(Duration::from_secs(1800)), "00:30:00");
    assert_eq!(timespan(LONGEST), "01:00:00");
}

#[test]
fn retry_after_is_seconds_or_an_instant_by_the_servers_clock() {
    let asked = |headers: &[(&'static str, &str)]| {
        let headers = headers
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), value.parse().expect("text")));
        retry_after(&headers.collect())
    };
    let seconds = |n| Some(Duration::from_secs(n));
    let date = ("date", "Wed, 21 Oct 2015 07:27:30 GMT");
    assert_eq!(asked(&[("retry-after", " 17 ")]), seconds(17));
    let at = ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT");
    assert_eq!(asked(&[at, date]), seconds(30));
    let past = ("retry-after", "Wed, 21 Oct 2015 07:27:00 GMT");
    assert_eq!(asked(&[past, date]), seconds(0));
    assert_eq!(asked(&[at]), None, "whose clock?");
    assert_eq!(asked(&[("retry-after", "soon")]), None);
    assert_eq!(asked(&[date]), None);
}
