//! An address of a container is refused, or names a place below the prefix and nothing else.
#![no_main]

use gleaner::config::settings::SinkTarget;
use gleaner::config::{Layers, validate};
use gleaner::sink::DatasetSink;
use gleaner::sink::azure_blob::AzureBlob;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str, &str)| {
    let (account, container, prefix, endpoint) = input;
    let set = [
        "source.kind=synthetic".to_owned(),
        "sink.kind=azure_blob".to_owned(),
        "sink.azure_blob.credential=managed_identity".to_owned(),
        format!("sink.azure_blob.account={account:?}"),
        format!("sink.azure_blob.container={container:?}"),
        format!("sink.azure_blob.prefix={prefix:?}"),
        format!("sink.azure_blob.endpoint={endpoint:?}"),
    ];
    let Ok(layers) = Layers::default().set(&set) else {
        return;
    };
    let Ok(settings) = validate(&layers, &[]) else {
        return;
    };
    let SinkTarget::AzureBlob(blob) = settings.sink.target else {
        panic!("another sink");
    };
    let below = blob.prefix.clone();
    let Ok(sink) = AzureBlob::new(&blob) else {
        return;
    };
    let reported = sink.location();
    let place = format!("az://{}/{}", blob.account, blob.container);
    let rest = reported.strip_prefix(&place).expect("its own container");
    assert_eq!(rest.trim_matches('/'), below);
    assert!(!rest.contains(['?', '#', '\\']), "{reported}");
    assert!(
        rest.split('/').all(|part| part != ".." && part != "."),
        "{reported}"
    );
});
