//! How our types are kept in columns.

use std::str::FromStr;

use propusk_core::env::Timestamp;
use propusk_core::secret::{HashedSecret, TokenKey};
use propusk_core::store::{LastUse, Page, StoreError};
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};

/// The columns of a row, read one after the other: a query names them in the order in which they are read.
pub(super) struct Columns<'r> {
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r Row<'_>) -> Self {
        Self { row, next: 0 }
    }

    /// What SQLite itself knows: texts, flags, small numbers, bytes, and any of them or NULL.
    pub(super) fn get<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let column = self.next;
        self.next += 1;
        self.row.get(column)
    }

    /// What is kept as text.
    pub(super) fn parsed<T: FromStr>(&mut self) -> rusqlite::Result<T>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        Ok(self.get::<Parsed<T>>()?.0)
    }

    pub(super) fn number(&mut self) -> rusqlite::Result<u64> {
        Ok(self.get::<Int>()?.0)
    }

    pub(super) fn optional_number(&mut self) -> rusqlite::Result<Option<u64>> {
        Ok(self.get::<Option<Int>>()?.map(|number| number.0))
    }

    pub(super) fn time(&mut self) -> rusqlite::Result<Timestamp> {
        self.number().map(Timestamp)
    }

    pub(super) fn optional_time(&mut self) -> rusqlite::Result<Option<Timestamp>> {
        Ok(self.get::<Option<Int>>()?.map(|ms| Timestamp(ms.0)))
    }

    pub(super) fn hash(&mut self) -> rusqlite::Result<HashedSecret> {
        self.get().map(HashedSecret::from_bytes)
    }

    pub(super) fn optional_hash(&mut self) -> rusqlite::Result<Option<HashedSecret>> {
        Ok(self.get::<Option<[u8; 32]>>()?.map(HashedSecret::from_bytes))
    }

    pub(super) fn optional_token_key(&mut self) -> rusqlite::Result<Option<TokenKey>> {
        Ok(self.get::<Option<[u8; 32]>>()?.map(TokenKey::from_bytes))
    }

    /// What is kept as one of a few names.
    pub(super) fn named<T>(&mut self, what: &'static str, of: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
        let text: String = self.get()?;
        of(&text).ok_or_else(|| unknown_name(self.next - 1, what))
    }

    /// What [`list`] wrote of names.
    pub(super) fn named_list<T>(&mut self, what: &'static str, of: fn(&str) -> Option<T>) -> rusqlite::Result<Vec<T>> {
        let List(texts) = self.get::<List<String>>()?;
        let found: Option<_> = texts.iter().map(|text| of(text)).collect();
        found.ok_or_else(|| unknown_name(self.next - 1, what))
    }

    /// What [`list`] wrote.
    pub(super) fn list<T: FromStr>(&mut self) -> rusqlite::Result<Vec<T>>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        Ok(self.get::<List<T>>()?.0)
    }
}

/// As two columns.
pub(super) fn last_use(columns: &mut Columns<'_>) -> rusqlite::Result<LastUse> {
    Ok(LastUse { at: columns.time()?, idle_expires_at: columns.time()? })
}

/// A list, to be written.
pub(super) fn list<'a>(texts: impl Iterator<Item = &'a str>) -> Result<String, StoreError> {
    serde_json::to_string(&texts.collect::<Vec<_>>()).map_err(StoreError::failed)
}

/// A time, to be written.
pub(super) fn time(time: Timestamp) -> Int {
    Int(time.0)
}

/// A hash, to be written or looked for.
pub(super) fn hash(hash: &HashedSecret) -> &[u8] {
    hash.as_bytes()
}

/// The key that a page comes after: no key is empty.
pub(super) fn after(page: &Page) -> &str {
    page.after.as_deref().unwrap_or_default()
}

/// A number of rows, to be asked for.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A number without a sign; SQLite's have one. What does not fit is an error, never another number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Int(pub(super) u64);

impl ToSql for Int {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number = i64::try_from(self.0).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(number.into())
    }
}

impl FromSql for Int {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number).map(Self).map_err(|_| FromSqlError::OutOfRange(number))
    }
}

struct Parsed<T>(T);

impl<T: FromStr> FromSql for Parsed<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(FromSqlError::other)
    }
}

struct List<T>(Vec<T>);

impl<T: FromStr> FromSql for List<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        // Owned: a text with escapes cannot be borrowed.
        let texts: Vec<String> = serde_json::from_str(value.as_str()?).map_err(FromSqlError::other)?;
        texts.into_iter().map(|text| text.parse().map_err(FromSqlError::other)).collect::<Result<_, _>>().map(Self)
    }
}

/// The column holds a name that this program does not know.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("not {0}")]
struct UnknownName(&'static str);

fn unknown_name(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(UnknownName(what)))
}
