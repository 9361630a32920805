//! gleaner's own sinks, held against the kit that others hold theirs against. A folder and a container
//! are held where they are tested.

use std::num::NonZeroUsize;

use gleaner::testing::{MemorySink, sink_conformance};

#[tokio::test]
async fn memory_is_a_sink() {
    for block_bytes in [4096, 100, 1] {
        let block_bytes = NonZeroUsize::new(block_bytes).expect("some");
        let place = MemorySink::new().with_block_bytes(block_bytes);
        sink_conformance(
            || Box::new(place.clone()),
            |dataset| Box::new(place.reader(dataset)),
        )
        .await;
    }
}
