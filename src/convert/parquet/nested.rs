//! JSON values as columns of Parquet: the members of objects and the elements of lists stand in columns of
//! their own, with levels that say which are absent and where lists begin.
//!
//! Source: <https://parquet.apache.org/docs/file-format/nestedencoding/>.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedColumnWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use crate::domain::conversion::shape::Shape;
use crate::domain::json::{JsonError, Kind, Scanner, Value, number, text};
use crate::domain::record::fields::key_text;

/// A column of a preset, and those that it takes in a file.
pub struct Nested {
    /// Its name.
    pub name: &'static str,
    shape: Shape,
    leaves: Vec<Leaf>,
}

/// The values of a column of a file in one group of rows.
struct Leaf {
    values: Values,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

enum Values {
    Booleans(Vec<bool>),
    Integers(Vec<i64>),
    Reals(Vec<f64>),
    Texts(Vec<ByteArray>),
    Json(Vec<ByteArray>),
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Levels {
    /// How many of the values around it are there.
    definition: i16,
    /// The list that goes on with it; 0 in a new row.
    repetition: i16,
    /// The lists around it.
    lists: i16,
}

impl Nested {
    /// A column without values, of a shape in which everything is known.
    pub fn new(name: &'static str, shape: Shape) -> Self {
        let mut leaves = Vec::with_capacity(shape.leaves());
        add_leaves(&shape, &mut leaves);
        Self {
            name,
            shape,
            leaves,
        }
    }

    /// Its type; every value may be absent.
    pub fn field(&self) -> Result<TypePtr, ParquetError> {
        field(self.name, &self.shape)
    }

    /// Whether it holds lists.
    pub fn is_list(&self) -> bool {
        matches!(self.shape, Shape::List(_))
    }

    /// Appends the value of a row.
    pub fn append(&mut self, json: Option<&[u8]>) {
        let value = json.and_then(|json| Scanner::of_checked(json).value().ok());
        let levels = Levels {
            definition: 0,
            repetition: 0,
            lists: 0,
        };
        append(&self.shape, &mut self.leaves, value, levels);
    }

    /// Writes its values as the next columns of a group, and forgets them.
    pub fn write<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        for leaf in &mut self.leaves {
            let Some(mut column) = group.next_column()? else {
                break;
            };
            leaf.write(&mut column)?;
            column.close()?;
        }
        Ok(())
    }
}

fn add_leaves(shape: &Shape, leaves: &mut Vec<Leaf>) {
    let values = match shape {
        Shape::Unknown => return,
        Shape::List(element) => return add_leaves(element, leaves),
        Shape::Object(members) => {
            let members = members.iter();
            return members.for_each(|(_, member)| add_leaves(member, leaves));
        }
        Shape::Boolean => Values::Booleans(Vec::new()),
        Shape::Integer => Values::Integers(Vec::new()),
        Shape::Real => Values::Reals(Vec::new()),
        Shape::Text => Values::Texts(Vec::new()),
        Shape::Json => Values::Json(Vec::new()),
    };
    leaves.push(Leaf {
        values,
        definitions: Vec::new(),
        repetitions: Vec::new(),
    });
}

fn field(name: &str, shape: &Shape) -> Result<TypePtr, ParquetError> {
    let primitive = |physical, logical, converted| {
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .with_converted_type(converted)
            .build()
    };
    let plain = |physical| primitive(physical, None, ConvertedType::NONE);
    let bytes = |logical, converted| primitive(Physical::BYTE_ARRAY, Some(logical), converted);
    let field = match shape {
        Shape::Boolean => plain(Physical::BOOLEAN)?,
        Shape::Integer => plain(Physical::INT64)?,
        Shape::Real => plain(Physical::DOUBLE)?,
        Shape::Json => bytes(LogicalType::Json, ConvertedType::JSON)?,
        Shape::Text | Shape::Unknown => bytes(LogicalType::String, ConvertedType::UTF8)?,
        Shape::List(element) => {
            let list = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![field("element", element)?])
                .build()?;
            Type::group_type_builder(name)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(LogicalType::List))
                .with_converted_type(ConvertedType::LIST)
                .with_fields(vec![Arc::new(list)])
                .build()?
        }
        Shape::Object(members) => {
            let fields = members.iter().map(|(name, member)| field(name, member));
            Type::group_type_builder(name)
                .with_repetition(Repetition::OPTIONAL)
                .with_fields(fields.collect::<Result<_, _>>()?)
                .build()?
        }
    };
    Ok(Arc::new(field))
}

/// Appends a value to the columns that its shape takes.
fn append(shape: &Shape, leaves: &mut [Leaf], value: Option<Value<'_>>, at: Levels) {
    let is_null = |value: &Value<'_>| value.kind == Kind::Null && *shape != Shape::Json;
    let Some(value) = value.filter(|value| !is_null(value)) else {
        return leaves.iter_mut().for_each(|leaf| leaf.end(at));
    };
    let there = Levels {
        definition: at.definition + 1,
        ..at
    };
    let read = match shape {
        Shape::List(element) => append_list(element, leaves, value, there),
        Shape::Object(members) => append_object(members, leaves, value, there),
        _ => {
            if let [leaf] = leaves {
                leaf.values.push(&value);
                leaf.end(there);
            }
            Ok(())
        }
    };
    debug_assert!(
        read.is_ok(),
        "a preset writes JSON, and the shape is its own"
    );
}

fn append_list(
    element: &Shape,
    leaves: &mut [Leaf],
    list: Value<'_>,
    at: Levels,
) -> Result<(), JsonError> {
    let mut own = Levels {
        definition: at.definition + 1,
        lists: at.lists + 1,
        ..at
    };
    let mut is_empty = true;
    Scanner::of_checked(list.text).each_element(|scanner| {
        append(element, leaves, Some(scanner.value()?), own);
        is_empty = false;
        own.repetition = own.lists;
        Ok(())
    })?;
    if is_empty {
        leaves.iter_mut().for_each(|leaf| leaf.end(at));
    }
    Ok(())
}

fn append_object(
    members: &[(String, Shape)],
    mut leaves: &mut [Leaf],
    object: Value<'_>,
    at: Levels,
) -> Result<(), JsonError> {
    let mut values = Vec::with_capacity(members.len());
    Scanner::of_checked(object.text).each_member(|key, scanner| {
        values.push((key_text(key), scanner.value()?));
        Ok(())
    })?;
    for (name, shape) in members {
        let (own, rest) = leaves.split_at_mut(shape.leaves());
        let named = values.iter().rfind(|(key, _)| **key == *name.as_bytes());
        append(shape, own, named.map(|(_, value)| *value), at);
        leaves = rest;
    }
    Ok(())
}

impl Leaf {
    fn end(&mut self, at: Levels) {
        self.definitions.push(at.definition);
        self.repetitions.push(at.repetition);
    }

    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let definitions = Some(self.definitions.as_slice());
        let repetitions = Some(self.repetitions.as_slice());
        match &mut self.values {
            Values::Booleans(values) => {
                let writer = column.typed::<BoolType>();
                writer.write_batch(values, definitions, repetitions)?;
                values.clear();
            }
            Values::Integers(values) => {
                let writer = column.typed::<Int64Type>();
                writer.write_batch(values, definitions, repetitions)?;
                values.clear();
            }
            Values::Reals(values) => {
                let writer = column.typed::<DoubleType>();
                writer.write_batch(values, definitions, repetitions)?;
                values.clear();
            }
            Values::Texts(values) | Values::Json(values) => {
                let writer = column.typed::<ByteArrayType>();
                writer.write_batch(values, definitions, repetitions)?;
                values.clear();
            }
        }
        self.definitions.clear();
        self.repetitions.clear();
        Ok(())
    }
}

impl Values {
    /// A value that does not fit does not come: the shape is that of all values.
    fn push(&mut self, value: &Value<'_>) {
        match self {
            Self::Booleans(values) => values.push(value.text == b"true"),
            Self::Integers(values) => values.push(number::integer(value.text).unwrap_or_default()),
            Self::Reals(values) => values.push(number::real(value.text).unwrap_or_default()),
            Self::Json(values) => values.push(ByteArray::from(value.text.to_vec())),
            Self::Texts(values) => {
                let body = value.string_body().unwrap_or_default();
                let mut out = Vec::with_capacity(body.len());
                text::decode(body, &mut out);
                values.push(ByteArray::from(out));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;
    use crate::convert::parquet::ParquetRows;

    /// Writes values of a column as rows of a file, and reads them.
    fn read_back(values: &[Option<&str>]) -> Vec<String> {
        let mut shape = Shape::default();
        for value in values.iter().flatten() {
            let own = Shape::of_json(value.as_bytes()).expect("a shape");
            shape.merge(own).expect("one shape");
        }
        let columns = [("c", shape.settled())];
        let mut rows = ParquetRows::new(&columns, false).expect("a file");
        for value in values {
            rows.columns[0].append(value.map(str::as_bytes));
            rows.bytes += 1;
        }
        let bytes = bytes::Bytes::from(rows.finish().expect("a file"));
        let reader = SerializedFileReader::new(bytes).expect("Parquet");
        let rows = reader.get_row_iter(None).expect("rows");
        rows.map(|row| row.expect("a row").to_string()).collect()
    }

    #[test]
    fn lists_in_lists_and_what_is_absent_come_back() {
        let rows = read_back(&[
            Some(r#"[{"a":[[1,2],[],[3]],"b":{"x":true}},{"b":null}]"#),
            None,
            Some("[]"),
            Some(r#"[{"a":null,"b":{"x":null}},{"b":{"x":false},"a":[[]]}]"#),
            Some(r#"[{"b":{"x":true},"a":[[4]]},null]"#),
        ]);
        let expected = [
            "{c: [{a: [[1, 2], [], [3]], b: {x: true}}, {a: null, b: null}]}",
            "{c: null}",
            "{c: []}",
            "{c: [{a: null, b: {x: null}}, {a: [[]], b: {x: false}}]}",
            "{c: [{a: [[4]], b: {x: true}}, null]}",
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn numbers_and_texts_come_back_decoded() {
        let rows = read_back(&[
            Some(r#"{"n":1,"t":"a\n\u00e9","none":null,"empty":{},"list":[]}"#),
            Some(r#"{"n":0.5,"t":"","list":["x"]}"#),
        ]);
        let expected = [
            "{c: {n: 1.0, t: \"a\n\u{e9}\", list: []}}",
            "{c: {n: 0.5, t: \"\", list: [\"x\"]}}",
        ];
        assert_eq!(rows, expected);
    }
}
