//! The types that JSON values need as columns, where each member of an object is a column of its own.

use thiserror::Error;

use crate::json::{JsonError, Kind, Scanner, Value, number};
use crate::record::fields::key_text;

/// What a column, or a member of the objects in it, holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Shape {
    /// Nothing was seen but null.
    #[default]
    Unknown,
    /// True or false.
    Boolean,
    /// Whole numbers of 64 bits.
    Integer,
    /// Numbers.
    Real,
    /// Texts.
    Text,
    /// JSON in itself, whatever it is.
    Json,
    /// Lists.
    List(Box<Shape>),
    /// Objects: the members that any of them has, as they were seen first.
    Object(Vec<(String, Shape)>),
}

/// Values of which no column can hold both.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path} is {one} in one place and {other} in another")]
pub struct Clash {
    /// Which member, as in `[].function.name`.
    pub path: String,
    one: &'static str,
    other: &'static str,
}

impl Shape {
    /// The shape of a JSON value.
    ///
    /// # Errors
    /// If a list in it has values that no column can hold together.
    pub fn of(value: &Value<'_>) -> Result<Self, Clash> {
        let mut clash = None;
        let mut scanner = Scanner::of_checked(value.text);
        let shape = match value.kind {
            Kind::Null => Self::Unknown,
            Kind::Bool => Self::Boolean,
            Kind::String => Self::Text,
            Kind::Number if number::integer(value.text).is_some() => Self::Integer,
            Kind::Number => Self::Real,
            Kind::Array => {
                let mut shape = Self::Unknown;
                let read = scanner.each_element(|scanner| {
                    let own = Self::of(&scanner.value()?);
                    note(own.and_then(|own| shape.merge(own)), "[]", &mut clash)
                });
                debug_assert!(read.is_ok(), "the value was checked");
                Self::List(Box::new(shape))
            }
            Kind::Object => {
                let mut members = Vec::new();
                let read = scanner.each_member(|key, scanner| {
                    let own = Self::of(&scanner.value()?);
                    let name = String::from_utf8_lossy(&key_text(key)).into_owned();
                    let path = format!(".{name}");
                    let added = own.and_then(|own| add(&mut members, name, own));
                    note(added, &path, &mut clash)
                });
                debug_assert!(read.is_ok(), "the value was checked");
                Self::Object(members)
            }
        };
        clash.map_or(Ok(shape), Err)
    }

    /// The shape of a text that is JSON.
    ///
    /// # Errors
    /// As [`Shape::of`].
    pub fn of_json(json: &[u8]) -> Result<Self, Clash> {
        let value = Scanner::of_checked(json).value();
        value.map_or(Ok(Self::Unknown), |value| Self::of(&value))
    }

    /// Makes room for what another shape holds too.
    ///
    /// # Errors
    /// If no column can hold both; what was merged before that stays.
    pub fn merge(&mut self, other: Self) -> Result<(), Clash> {
        match (&mut *self, other) {
            (_, Self::Unknown) | (Self::Real, Self::Integer) => {}
            (Self::Unknown, other) => *self = other,
            (Self::Integer, Self::Real) => *self = Self::Real,
            (Self::List(own), Self::List(other)) => own.merge(*other).map_err(within("[]"))?,
            (Self::Object(own), Self::Object(other)) => {
                for (name, shape) in other {
                    let path = format!(".{name}");
                    add(own, name, shape).map_err(within(&path))?;
                }
            }
            (own, other) if *own == other => {}
            (own, other) => {
                return Err(Clash {
                    path: String::new(),
                    one: own.name(),
                    other: other.name(),
                });
            }
        }
        Ok(())
    }

    /// The columns that it takes; an object of which nothing is known takes none.
    pub fn leaves(&self) -> usize {
        match self {
            Self::Unknown => 0,
            Self::List(element) => element.leaves(),
            Self::Object(members) => members.iter().map(|(_, member)| member.leaves()).sum(),
            _ => 1,
        }
    }

    /// The shape without members of which nothing is known; lists of which no element is known hold texts.
    pub fn settled(self) -> Self {
        match self {
            Self::List(element) if *element == Self::Unknown => Self::List(Box::new(Self::Text)),
            Self::List(element) => Self::List(Box::new(element.settled())),
            Self::Object(members) => {
                let members = members.into_iter();
                let settled = members.map(|(name, member)| (name, member.settled()));
                Self::Object(settled.filter(|(_, member)| member.leaves() > 0).collect())
            }
            other => other,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "null",
            Self::Boolean => "true or false",
            Self::Integer | Self::Real => "a number",
            Self::Text => "a text",
            Self::Json => "JSON",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

fn add(members: &mut Vec<(String, Shape)>, name: String, shape: Shape) -> Result<(), Clash> {
    match members.iter_mut().find(|(own, _)| *own == name) {
        Some((_, own)) => own.merge(shape),
        None => {
            members.push((name, shape));
            Ok(())
        }
    }
}

/// Says where in a larger value two values clash.
fn within(path: &str) -> impl FnOnce(Clash) -> Clash {
    move |clash| Clash {
        path: format!("{path}{}", clash.path),
        ..clash
    }
}

/// Keeps the first clash of a walk through a value.
fn note(merged: Result<(), Clash>, path: &str, clash: &mut Option<Clash>) -> Result<(), JsonError> {
    let Err(found) = merged.map_err(within(path)) else {
        return Ok(());
    };
    clash.get_or_insert(found);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(json: &str) -> Result<Shape, Clash> {
        Shape::of(&Scanner::new(json.as_bytes()).value().expect("JSON"))
    }

    fn merged(all: &[&str]) -> Result<Shape, Clash> {
        let mut merged = Shape::default();
        for json in all {
            merged.merge(shape(json)?)?;
        }
        Ok(merged)
    }

    fn object(members: &[(&str, Shape)]) -> Shape {
        let members = members.iter();
        Shape::Object(
            members
                .map(|(name, shape)| (name.to_string(), shape.clone()))
                .collect(),
        )
    }

    #[test]
    fn objects_have_the_members_of_all_as_they_were_seen_first() {
        let both = merged(&[
            r#"{"b":1,"a":null}"#,
            r#"{"a":"x","c":[]}"#,
            r#"{"c":[true],"b":1.5}"#,
        ]);
        let list = Shape::List(Box::new(Shape::Boolean));
        let expected = object(&[("b", Shape::Real), ("a", Shape::Text), ("c", list)]);
        assert_eq!(both, Ok(expected));
        assert_eq!(both.expect("a shape").leaves(), 3);
        assert_eq!(
            shape(r#"[{"a":1},{"b":"x"}]"#).expect("a shape").leaves(),
            2
        );
        let unknown = shape(r#"{"a":{},"b":null,"c":[],"d":[{"x":{}}]}"#).expect("a shape");
        assert_eq!(unknown.leaves(), 0);
        let texts = Shape::List(Box::new(Shape::Text));
        assert_eq!(unknown.settled(), object(&[("c", texts)]));
    }

    #[test]
    fn values_of_which_no_column_holds_both_are_named() {
        let clash = merged(&[r#"[{"f":{"x":1}}]"#, r#"[{"f":{"x":["a"]}}]"#]).expect_err("a clash");
        assert_eq!(
            clash.to_string(),
            "[].f.x is a number in one place and a list in another"
        );
        let clash = shape(r#"{"enum":[{"a":1},{"a":"x"}]}"#).expect_err("a clash");
        assert_eq!(clash.path, ".enum[].a");
        assert!(merged(&["9223372036854775807", "9223372036854775808"]).is_ok());
    }
}
