//! One text for one value. `serde_json` sorts keys, unless a program that uses this library turns on its
//! feature `preserve_order`: what is hashed or written is sorted here.

use serde_json::Value;

/// A value with the keys of all its objects sorted.
#[must_use]
pub fn sorted(mut value: Value) -> Value {
    value.sort_all_objects();
    value
}
