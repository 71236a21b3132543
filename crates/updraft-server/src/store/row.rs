//! Reads typed values from a row. A value that this program would not write is an error that names it,
//! never a default.

use std::str::FromStr;

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Result, StoreError};

/// The columns of a row by their names.
pub(super) trait Columns {
    /// A number.
    fn number(&self, column: &'static str) -> Result<i64>;
    /// A number, or NULL.
    fn maybe_number(&self, column: &'static str) -> Result<Option<i64>>;
    /// A text.
    fn text(&self, column: &'static str) -> Result<String>;
    /// A text, or NULL.
    fn maybe_text(&self, column: &'static str) -> Result<Option<String>>;

    /// A number of another width.
    fn count<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T> {
        narrow(self.number(column)?, column)
    }

    /// A number of another width, or NULL.
    fn maybe_count<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>> {
        self.maybe_number(column)?.map(|number| narrow(number, column)).transpose()
    }

    /// A time.
    fn time(&self, column: &'static str) -> Result<Timestamp> {
        time(self.number(column)?, column)
    }

    /// A time, or NULL.
    fn maybe_time(&self, column: &'static str) -> Result<Option<Timestamp>> {
        self.maybe_number(column)?.map(|number| time(number, column)).transpose()
    }

    /// What a text stands for.
    fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T> {
        parse(self.text(column)?, column)
    }

    /// What a text stands for, or NULL.
    fn maybe_parsed<T: FromStr>(&self, column: &'static str) -> Result<Option<T>> {
        self.maybe_text(column)?.map(|text| parse(text, column)).transpose()
    }
}

impl Columns for AnyRow {
    fn number(&self, column: &'static str) -> Result<i64> {
        Ok(self.try_get(column)?)
    }

    fn maybe_number(&self, column: &'static str) -> Result<Option<i64>> {
        Ok(self.try_get(column)?)
    }

    fn text(&self, column: &'static str) -> Result<String> {
        Ok(self.try_get(column)?)
    }

    fn maybe_text(&self, column: &'static str) -> Result<Option<String>> {
        Ok(self.try_get(column)?)
    }
}

/// A value that stands in the database and cannot be.
pub(super) fn corrupt(column: &'static str, value: impl Into<String>) -> StoreError {
    StoreError::Corrupt { column, value: value.into() }
}

/// A number as it is stored. Sizes in bytes are below 2^63.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn narrow<T: TryFrom<i64>>(number: i64, column: &'static str) -> Result<T> {
    T::try_from(number).map_err(|_| corrupt(column, number.to_string()))
}

fn time(number: i64, column: &'static str) -> Result<Timestamp> {
    Timestamp::from_millisecond(number).map_err(|_| corrupt(column, number.to_string()))
}

fn parse<T: FromStr>(text: String, column: &'static str) -> Result<T> {
    text.parse().map_err(|_| corrupt(column, text))
}
