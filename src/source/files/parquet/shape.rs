//! What the values of a Parquet file mean, by its schema.
//!
//! The record reader of the `parquet` crate gives values without their logical types, and what is a
//! list of two levels (`repeated group array`, as parquet-avro writes it; `NAME_tuple` of
//! parquet-thrift; a repeated primitive) nested once more. A shape is read beside the value and says
//! what it is.

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::schema::types::Type;

/// The shape of a value.
#[derive(Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    Leaf(Leaf),
    /// An object, its members in their order.
    Group(Vec<(String, Shape)>),
    /// An array.
    List(Box<Shape>),
    /// An array that comes as the only element of another one.
    NestedList(Box<Shape>),
    /// An object of one member, which comes without it.
    Bare(String, Box<Shape>),
    /// An object whose keys are data.
    Map(Box<Shape>, Box<Shape>),
}

/// The logical type of a single value, where its own type does not say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// As its own type says.
    Plain,
    /// Nanoseconds since 1970 for each of its units.
    Timestamp(i64),
    /// A timestamp of 96 bits, in the column of this number.
    Int96(usize),
    /// 16 bytes.
    Uuid,
    /// Text that is JSON.
    Json,
    /// Bytes that may be text, in the column of this name.
    Bytes(String),
}

/// The shape of the rows of a file; the name of a column that cannot be read, with its type.
///
/// # Errors
/// If there is one.
pub fn of_rows(root: &Type) -> Result<Shape, String> {
    let mut leaves = 0;
    let mut members = Vec::new();
    for field in root.get_fields() {
        members.push((field.name().to_owned(), of(field, "", &mut leaves)?));
    }
    Ok(Shape::Group(members))
}

fn of(field: &Type, path: &str, leaves: &mut usize) -> Result<Shape, String> {
    let info = field.get_basic_info();
    let path = match path {
        "" => field.name().to_owned(),
        path => format!("{path}.{}", field.name()),
    };
    let is_repeated = info.has_repetition() && info.repetition() == Repetition::REPEATED;
    let shape = if field.is_primitive() {
        let leaf = leaf(field, &path, *leaves)?;
        *leaves += 1;
        Shape::Leaf(leaf)
    } else {
        match (info.converted_type(), field.get_fields()) {
            (ConvertedType::LIST, [repeated]) => return list(field, repeated, &path, leaves),
            (ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE, [pair]) if pair.is_group() => {
                let path = format!("{path}.{}", pair.name());
                return match pair.get_fields() {
                    [key] => Ok(Shape::List(Box::new(of(key, &path, leaves)?))),
                    [key, value] => {
                        let key = of(key, &path, leaves)?;
                        let value = of(value, &path, leaves)?;
                        Ok(Shape::Map(Box::new(key), Box::new(value)))
                    }
                    _ => Err(format!(
                        "`{path}`, a map of {} fields",
                        pair.get_fields().len()
                    )),
                };
            }
            (ConvertedType::LIST | ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE, _) => {
                return Err(format!("`{path}`, a list or map of another form"));
            }
            (_, fields) => {
                let mut members = Vec::new();
                for field in fields {
                    members.push((field.name().to_owned(), of(field, &path, leaves)?));
                }
                Shape::Group(members)
            }
        }
    };
    Ok(match is_repeated {
        true => Shape::List(Box::new(shape)),
        false => shape,
    })
}

/// `field` is annotated as a list and has `repeated` within.
fn list(field: &Type, repeated: &Type, path: &str, leaves: &mut usize) -> Result<Shape, String> {
    let info = repeated.get_basic_info();
    if !info.has_repetition() || info.repetition() != Repetition::REPEATED {
        return Err(format!("`{path}`, a list of another form"));
    }
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
    let is_named =
        repeated.name() == "array" || repeated.name() == format!("{}_tuple", field.name());
    match only {
        Some(only) if !is_list && only.get_basic_info().repetition() == Repetition::REPEATED => {
            let element = of(only, &format!("{path}.{}", repeated.name()), leaves)?;
            let name = only.name().to_owned();
            Ok(Shape::List(Box::new(match is_named {
                true => Shape::Bare(name, Box::new(element)),
                false => element,
            })))
        }
        Some(only)
            if is_list || !(repeated.name() == "array" || repeated.name().ends_with("_tuple")) =>
        {
            let element = of(only, &format!("{path}.{}", repeated.name()), leaves)?;
            Ok(Shape::List(Box::new(element)))
        }
        _ => Ok(Shape::NestedList(Box::new(of(repeated, path, leaves)?))),
    }
}

fn leaf(field: &Type, path: &str, number: usize) -> Result<Leaf, String> {
    let info = field.get_basic_info();
    let (converted, logical) = (info.converted_type(), info.logical_type_ref());
    Ok(match (field.get_physical_type(), logical) {
        (Physical::INT96, _) => Leaf::Int96(number),
        (Physical::INT64, Some(LogicalType::Timestamp(timestamp))) => {
            Leaf::Timestamp(match timestamp.unit {
                TimeUnit::MILLIS => 1_000_000,
                TimeUnit::MICROS => 1000,
                TimeUnit::NANOS => 1,
            })
        }
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid)) => Leaf::Uuid,
        (Physical::FIXED_LEN_BYTE_ARRAY, _) if converted == ConvertedType::INTERVAL => {
            return Err(format!("`{path}`, an INTERVAL"));
        }
        (Physical::BYTE_ARRAY, Some(LogicalType::Json)) => Leaf::Json,
        (Physical::BYTE_ARRAY, _) if converted == ConvertedType::JSON => Leaf::Json,
        (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, _) => Leaf::Bytes(path.to_owned()),
        _ => Leaf::Plain,
    })
}
