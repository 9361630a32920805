//! Keys and values whose names have changed. An old name is read for one release, with a warning that names the
//! new one; a layer that has both is refused.

use toml::{Table, Value};

use super::{ConfigError, layers::insert};

/// Old names and new ones.
pub const KEYS: [(&str, &str); 5] = [
    ("workers.patience", "workers.stall_timeout"),
    ("sink.azure_blob.patience", "sink.azure_blob.retry_timeout"),
    ("window.settle", "window.ingestion_lag"),
    ("chaos.passages", "chaos.max_hits"),
    ("source.synthetic.shape", "source.synthetic.schema"),
];

/// Old values of a key, and new ones.
const VALUES: [(&str, &str, &str); 1] = [("source.synthetic.schema", "events", "turns")];

/// Replaces old keys and old values by the new ones. Returns the warnings.
///
/// # Errors
/// If the layer has a value under both names.
pub fn rename(layer: &str, table: &mut Table) -> Result<Vec<String>, ConfigError> {
    let mut warnings = Vec::new();
    for (old, new) in KEYS {
        let Some(value) = take(table, old) else {
            continue;
        };
        if find(table, new).is_some() {
            return Err(ConfigError::Value {
                layer: layer.to_owned(),
                key: old.to_owned(),
                reason: format!("{new} is set, too; {old} is its old name: remove it"),
            });
        }
        insert(table, new, value);
        warnings.push(format!(
            "{layer}: {old} is now {new}; the old name is read for one more release"
        ));
    }
    for (key, old, new) in VALUES {
        if find(table, key).and_then(Value::as_str) == Some(old) {
            insert(table, key, Value::String(new.to_owned()));
            warnings.push(format!(
                "{layer}: {key} = \"{old}\" is now \"{new}\"; the old name is read for one more release"
            ));
        }
    }
    Ok(warnings)
}

/// The value of a dotted key.
pub fn find<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((first, rest)) => find(table.get(first)?.as_table()?, rest),
    }
}

/// Takes the value of a dotted key out. The tables around it stay.
pub fn take(table: &mut Table, key: &str) -> Option<Value> {
    match key.split_once('.') {
        None => table.remove(key),
        Some((first, rest)) => take(table.get_mut(first)?.as_table_mut()?, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_old_name_is_read_and_the_warning_names_the_new_one() {
        for (old, new) in KEYS {
            let mut table = Table::new();
            insert(&mut table, old, Value::String("7".to_owned()));
            let warnings = rename("a.toml", &mut table).expect("one name");
            assert_eq!(
                find(&table, new).and_then(Value::as_str),
                Some("7"),
                "{old}"
            );
            assert!(find(&table, old).is_none(), "{old}");
            assert!(
                warnings.len() == 1 && warnings[0].contains(old) && warnings[0].contains(new),
                "{warnings:?}"
            );
        }
    }

    #[test]
    fn each_old_value_is_read_and_the_warning_names_the_new_one() {
        for (key, old, new) in VALUES {
            let mut table = Table::new();
            insert(&mut table, key, Value::String(old.to_owned()));
            let warnings = rename("a.toml", &mut table).expect("a value");
            assert_eq!(find(&table, key).and_then(Value::as_str), Some(new));
            assert!(
                warnings.len() == 1 && warnings[0].contains(old) && warnings[0].contains(new),
                "{warnings:?}"
            );
            assert_eq!(rename("a.toml", &mut table).expect("fine"), [""; 0]);
        }
    }

    #[test]
    fn both_names_in_one_layer_are_refused() {
        for (old, new) in KEYS {
            let mut table = Table::new();
            insert(&mut table, old, Value::Integer(1));
            insert(&mut table, new, Value::Integer(2));
            let refused = rename("a.toml", &mut table)
                .expect_err("two names")
                .to_string();
            assert!(refused.contains(old) && refused.contains(new), "{refused}");
        }
    }

    #[test]
    fn new_names_give_no_warning() {
        let mut table: Table = "[workers]\nstall_timeout = '1s'\n".parse().expect("TOML");
        let before = table.clone();
        assert_eq!(rename("a.toml", &mut table).expect("fine"), [""; 0]);
        assert_eq!(table, before);
    }
}
