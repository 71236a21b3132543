//! What can go wrong between the server and its database, in words for the person who has to act. It
//! knows no table.

use std::fmt;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The text names no database.
    #[error("{url:?} names no database; write a path, sqlite:///PATH or postgres://USER@HOST/NAME")]
    Url {
        /// What was given, without a password.
        url: String,
    },
    /// The database cannot be reached or opened.
    #[error("cannot open the database {database}; does it run, and may this user use it?")]
    Open {
        /// Which, without a password.
        database: String,
        /// Why.
        source: sqlx::Error,
    },
    /// A newer version has used this database.
    #[error(
        "the database {database} was last used by a newer updraft (its schema is {found}, this one \
         knows {known}); run that version, or give back a copy from before it"
    )]
    Newer {
        /// Which, without a password.
        database: String,
        /// The schema it has.
        found: i64,
        /// The newest schema this program knows.
        known: i64,
    },
    /// There is no such thing.
    #[error("there is no {what} {name:?}")]
    Missing {
        /// What was looked for.
        what: What,
        /// By which name.
        name: String,
    },
    /// The name is taken.
    #[error("there is a {what} {name:?} already")]
    Exists {
        /// What it is.
        what: What,
        /// Its name.
        name: String,
    },
    /// It was taken back, so nothing may point to it.
    #[error("the release {name:?} is yanked")]
    Yanked {
        /// Its version.
        name: String,
    },
    /// Somebody else changed it since it was read (`If-Match`).
    #[error("the {what} {name:?} was changed meanwhile; look at it again")]
    Changed {
        /// What it is.
        what: What,
        /// Its name.
        name: String,
    },
    /// What a decision rests on has changed since.
    #[error("what this was decided on has changed; decide again")]
    Stale,
    /// It cannot go while something else needs it.
    #[error("the {what} {name:?} is still used by {by}")]
    InUse {
        /// What it is.
        what: What,
        /// Its name.
        name: String,
        /// What needs it.
        by: String,
    },
    /// Others kept changing the same rows. Trying again later is right.
    #[error("the database was too busy for this change; try again")]
    Busy,
    /// A stored value is none that this program writes.
    #[error("the database holds {value:?} as {column}, which this version cannot read")]
    Corrupt {
        /// Where.
        column: &'static str,
        /// What stands there.
        value: String,
    },
    /// The store is being closed.
    #[error("the server is stopping")]
    Stopping,
    /// The database said no.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// What a name was to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Channel,
    Device,
    Image,
    Product,
    Release,
    Token,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Channel => "channel",
            Self::Device => "device",
            Self::Image => "image",
            Self::Product => "product",
            Self::Release => "release",
            Self::Token => "token",
        })
    }
}

impl StoreError {
    /// Nothing of that name.
    pub(crate) fn missing(what: What, name: impl fmt::Display) -> Self {
        Self::Missing { what, name: name.to_string() }
    }

    /// Whether the same change may go through when it is tried again: another one was in its way.
    pub(super) fn is_passing(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        match error.code().as_deref() {
            // SQLSTATE has five places: serialization_failure, deadlock_detected, duplicate_table (two
            // servers that make it at once), unique_violation (what was looked for before it was put
            // there has come meanwhile; the next try sees it).
            Some(code) if code.len() == 5 => matches!(code, "40001" | "40P01" | "42P07" | "23505"),
            // SQLite: SQLITE_BUSY is the low byte of its extended codes.
            Some(code) => code.parse::<u32>().is_ok_and(|code| code & 0xFF == 5),
            None => false,
        }
    }

    /// Turns the database's "not unique" into [`StoreError::Exists`].
    pub(super) fn or_exists(error: sqlx::Error, what: What, name: impl fmt::Display) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => {
                Self::Exists { what, name: name.to_string() }
            }
            _ => Self::Database(error),
        }
    }
}
