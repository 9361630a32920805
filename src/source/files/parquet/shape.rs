//! What the columns of a Parquet file mean, by its schema: the tree of values that a row has, and at which levels a
//! value is null or a list goes on.
//!
//! Lists of two levels (`repeated group array`, as parquet-avro writes them; `NAME_tuple` of parquet-thrift; a repeated
//! primitive) are read by the rules for backward compatibility of the format.

use std::ops::Range;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::schema::types::Type;

use crate::domain::json::text;

/// A value of a row. Its columns are those of the leaves in it; their levels say what it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value, in the column of this number.
    Leaf(usize, Leaf),
    /// An object, its members in their order.
    Group(Vec<Member>),
    /// Null where the definition level is below that of `present`.
    Optional(Present, Box<Shape>),
    /// An array. It has elements where the definition level is that of `present`.
    List(Present, i16, Box<Shape>),
    /// An object whose keys are data: its levels as of a list, the keys, the values.
    Map(Present, i16, Box<Shape>, Box<Shape>),
}

impl Shape {
    /// What it is where it is there.
    pub fn present(&mut self) -> &mut Self {
        match self {
            Self::Optional(_, shape) => shape.present(),
            shape => shape,
        }
    }
}

/// A member of an object.
#[derive(Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// `"name":`
    pub key: Vec<u8>,
    /// Its value.
    pub shape: Shape,
}

/// When a value is there.
#[derive(Debug, PartialEq, Eq)]
pub struct Present {
    /// The definition level from which on it is.
    pub definition: i16,
    /// The columns in it: all of them have one level for a value that is not there. There is at least one.
    pub columns: Range<usize>,
}

/// What a single value is written as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// An integer as it is.
    Integer,
    /// Nanoseconds since 1970 for each of its units.
    Timestamp(i64),
    /// A timestamp of 96 bits.
    Int96,
    /// 16 bytes.
    Uuid,
    /// Text.
    Text,
    /// Text that is JSON.
    Json,
    /// Bytes that may be text, in the column of this name.
    Bytes(String),
    /// As the `parquet` crate converts it.
    Other,
}

/// The members of the rows of a file; the name of a column that cannot be read, with its type.
///
/// # Errors
/// If there is one.
pub fn of_rows(root: &Type) -> Result<Vec<Member>, String> {
    let mut walk = Walk::default();
    walk.members(root)
}

/// Where in the schema a type is.
#[derive(Debug, Default)]
struct Walk {
    /// The names of what it is in, for messages.
    path: Vec<String>,
    definition: i16,
    repetition: i16,
    /// Leaves so far.
    columns: usize,
}

impl Walk {
    fn members(&mut self, group: &Type) -> Result<Vec<Member>, String> {
        let mut members = Vec::new();
        for field in group.get_fields() {
            let name = field.name().to_owned();
            let mut key = Vec::new();
            text::write_string(&name, &mut key);
            key.push(b':');
            let shape = self.field(field)?;
            members.push(Member { name, key, shape });
        }
        Ok(members)
    }

    /// A field, with its repetition.
    fn field(&mut self, field: &Type) -> Result<Shape, String> {
        let info = field.get_basic_info();
        let repetition = match info.has_repetition() {
            true => info.repetition(),
            false => Repetition::REQUIRED,
        };
        match repetition {
            Repetition::REQUIRED => self.value(field),
            Repetition::OPTIONAL => {
                let (present, shape) = self.below(field, false, Self::value)?;
                Ok(Shape::Optional(present, Box::new(shape)))
            }
            // Outside of a list or map it is a list of what it is.
            Repetition::REPEATED => self.list_of(field, Self::value),
        }
    }

    /// What is below `field`, one level deeper.
    fn below<T>(
        &mut self,
        field: &Type,
        is_repeated: bool,
        read: impl FnOnce(&mut Self, &Type) -> Result<T, String>,
    ) -> Result<(Present, T), String> {
        let first = self.columns;
        self.definition += 1;
        self.repetition += i16::from(is_repeated);
        let definition = self.definition;
        let found = read(self, field)?;
        self.definition -= 1;
        self.repetition -= i16::from(is_repeated);
        let columns = first..self.columns;
        if columns.is_empty() {
            return Err(format!("{}, a group without columns", self.name_of(field)));
        }
        let present = Present {
            definition,
            columns,
        };
        Ok((present, found))
    }

    /// A list whose elements are what `element` reads of `repeated`.
    fn list_of(
        &mut self,
        repeated: &Type,
        element: impl FnOnce(&mut Self, &Type) -> Result<Shape, String>,
    ) -> Result<Shape, String> {
        let (present, element) = self.below(repeated, true, element)?;
        Ok(Shape::List(present, self.repetition + 1, Box::new(element)))
    }

    /// A field that is there.
    fn value(&mut self, field: &Type) -> Result<Shape, String> {
        if field.is_primitive() {
            let leaf = leaf(field, || self.name_of(field))?;
            self.columns += 1;
            return Ok(Shape::Leaf(self.columns - 1, leaf));
        }
        let other_form = || format!("{}, a list or map of another form", self.name_of(field));
        let converted = field.get_basic_info().converted_type();
        let inner = match (converted, field.get_fields()) {
            (ConvertedType::LIST, [only]) if is_repeated(only) => Some(only),
            (ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE, [only])
                if only.is_group() && is_repeated(only) =>
            {
                Some(only)
            }
            (ConvertedType::LIST | ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE, _) => {
                return Err(other_form());
            }
            _ => None,
        };
        self.path.push(field.name().to_owned());
        let shape = match inner {
            Some(repeated) if converted == ConvertedType::LIST => self.list(field, repeated),
            Some(pair) => self.map(pair),
            None => self.members(field).map(Shape::Group),
        };
        self.path.pop();
        shape
    }

    /// `field` is annotated as a list and has `repeated` within.
    fn list(&mut self, field: &Type, repeated: &Type) -> Result<Shape, String> {
        let info = repeated.get_basic_info();
        let is_list = repeated.is_group()
            && match info.logical_type_ref() {
                Some(logical) => *logical == LogicalType::List,
                None => info.converted_type() == ConvertedType::LIST,
            };
        let only = match repeated.is_group() {
            true => match repeated.get_fields() {
                [only] => Some(only),
                _ => None,
            },
            false => None,
        };
        let name = repeated.name();
        let is_element = match only {
            Some(only) if !is_list && is_repeated(only) => {
                name == "array" || name == format!("{}_tuple", field.name())
            }
            Some(_) => !is_list && (name == "array" || name.ends_with("_tuple")),
            None => true,
        };
        match only {
            Some(only) if !is_element => self.list_of(repeated, |walk, repeated| {
                walk.path.push(repeated.name().to_owned());
                let element = walk.field(only);
                walk.path.pop();
                element
            }),
            _ => self.list_of(repeated, Self::value),
        }
    }

    fn map(&mut self, pair: &Type) -> Result<Shape, String> {
        let (present, (key, value)) = self.below(pair, true, |walk, pair| {
            walk.path.push(pair.name().to_owned());
            let both = match pair.get_fields() {
                [key] => walk.field(key).map(|key| (key, None)),
                [key, value] => walk
                    .field(key)
                    .and_then(|key| Ok((key, Some(walk.field(value)?)))),
                fields => Err(format!(
                    "`{}`, a map of {} fields",
                    walk.path.join("."),
                    fields.len()
                )),
            };
            walk.path.pop();
            both
        })?;
        let (level, key) = (self.repetition + 1, Box::new(key));
        Ok(match value {
            Some(value) => Shape::Map(present, level, key, Box::new(value)),
            None => Shape::List(present, level, key),
        })
    }

    /// A field's name, for a message.
    fn name_of(&self, field: &Type) -> String {
        let mut path = self.path.clone();
        path.push(field.name().to_owned());
        format!("`{}`", path.join("."))
    }
}

fn is_repeated(field: &Type) -> bool {
    let info = field.get_basic_info();
    info.has_repetition() && info.repetition() == Repetition::REPEATED
}

fn leaf(field: &Type, name: impl Fn() -> String) -> Result<Leaf, String> {
    let info = field.get_basic_info();
    let (converted, logical) = (info.converted_type(), info.logical_type_ref());
    Ok(match (field.get_physical_type(), logical) {
        (Physical::INT96, _) => Leaf::Int96,
        (Physical::INT64, Some(LogicalType::Timestamp(timestamp))) => {
            Leaf::Timestamp(match timestamp.unit {
                TimeUnit::MILLIS => 1_000_000,
                TimeUnit::MICROS => 1000,
                TimeUnit::NANOS => 1,
            })
        }
        (Physical::INT64, _) if converted == ConvertedType::TIMESTAMP_MILLIS => {
            Leaf::Timestamp(1_000_000)
        }
        (Physical::INT64, _) if converted == ConvertedType::TIMESTAMP_MICROS => {
            Leaf::Timestamp(1000)
        }
        (Physical::INT32 | Physical::INT64, _)
            if matches!(
                converted,
                ConvertedType::NONE | ConvertedType::INT_32 | ConvertedType::INT_64
            ) =>
        {
            Leaf::Integer
        }
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid)) => Leaf::Uuid,
        (Physical::FIXED_LEN_BYTE_ARRAY, _) if converted == ConvertedType::INTERVAL => {
            return Err(format!("{}, an INTERVAL", name()));
        }
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Float16)) => Leaf::Other,
        (Physical::BYTE_ARRAY, Some(LogicalType::Json)) => Leaf::Json,
        (Physical::BYTE_ARRAY, _) if converted == ConvertedType::JSON => Leaf::Json,
        (Physical::BYTE_ARRAY, _)
            if matches!(converted, ConvertedType::UTF8 | ConvertedType::ENUM) =>
        {
            Leaf::Text
        }
        (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, _)
            if converted != ConvertedType::DECIMAL =>
        {
            Leaf::Bytes(name().trim_matches('`').to_owned())
        }
        _ => Leaf::Other,
    })
}
