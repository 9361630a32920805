//! Visits of what is in an object or an array.

use super::{JsonError, Scanner, Value};

impl<'a> Scanner<'a> {
    /// Enters an object and visits its members to its end: `visit` is given each key, and passes its
    /// value, which is next.
    #[inline]
    pub fn each_member(
        &mut self,
        mut visit: impl FnMut(&Value<'a>, &mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.open_object()?;
        let mut first = true;
        while let Some(key) = self.next_key(first)? {
            first = false;
            visit(&key, self)?;
        }
        Ok(())
    }

    /// Enters an array and visits its elements to its end: `visit` passes the one that is next.
    #[inline]
    pub fn each_element(
        &mut self,
        mut visit: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.open_array()?;
        let mut first = true;
        while self.next_element(first)? {
            first = false;
            visit(self)?;
        }
        Ok(())
    }

    /// Enters an array and writes another one: `write` passes the element that is next and appends what
    /// stands for it, which is not nothing.
    pub fn write_elements(
        &mut self,
        out: &mut Vec<u8>,
        mut write: impl FnMut(&mut Self, &mut Vec<u8>) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        out.push(b'[');
        let first = out.len();
        self.each_element(|scanner| {
            if out.len() > first {
                out.push(b',');
            }
            write(scanner, out)
        })?;
        out.push(b']');
        Ok(())
    }
}
