//! API tokens: names, scopes and the hash by which one is recognised. A token itself is never stored.

use std::fmt;
use std::str::FromStr;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::events::{By, Note};
use super::ids::Series;
use super::{Durability, Result, Store, StoreError, What};
use crate::digest::Sha256;

/// An API token, as it is known to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its number.
    pub id: i64,
    /// What its owner calls it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Unix milliseconds.
    pub created: i64,
    /// Unix milliseconds from which on it is worth nothing.
    pub expires: Option<i64>,
    /// When it was last used, in Unix milliseconds, to the minute or so.
    pub used: Option<i64>,
}

/// A token to be.
#[derive(Clone, Debug)]
pub(crate) struct NewToken {
    /// See [`Token::name`].
    pub name: String,
    /// See [`Token::scopes`].
    pub scopes: Vec<Scope>,
    /// See [`Token::expires`].
    pub expires: Option<i64>,
    /// The SHA-256 of the token.
    pub hash: Sha256,
}

/// What a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Reading everything.
    Read,
    /// Changing devices.
    Devices,
    /// Uploading images, publishing and yanking releases.
    Publish,
    /// Moving channels.
    Rollout,
    /// Everything.
    Admin,
}

/// A word that names no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scope: write read, devices, publish, rollout or admin")]
pub(crate) struct NoScope(String);

/// How old the last use may look: a token used all day is not written all day.
const USED_TO: i64 = 60_000;

impl Store {
    /// Makes a token known.
    pub(crate) async fn create_token(&self, new: NewToken, by: &By) -> Result<Token> {
        let input = (self.id(Series::Tokens).await?, new);
        self.change(by, input, |tx, (id, new), note| Box::pin(create(tx, *id, new, note))).await
    }

    /// The token of this hash, unless it has expired.
    pub(crate) async fn token(&self, hash: Sha256, now: i64) -> Result<Option<Token>> {
        let token = self.read(hash, |tx, hash| Box::pin(find(tx, *hash))).await?;
        let Some(token) = token.filter(|token| token.expires.is_none_or(|end| now < end)) else {
            return Ok(None);
        };
        if token.used.is_none_or(|used| now - used >= USED_TO) {
            self.write((token.id, now), Durability::Relaxed, |tx, (id, now)| {
                Box::pin(used(tx, *id, *now))
            })
            .await?;
        }
        Ok(Some(token))
    }

    /// All tokens, by name.
    pub(crate) async fn tokens(&self) -> Result<Vec<Token>> {
        self.read((), |tx, ()| Box::pin(list(tx))).await
    }

    /// Makes a token worth nothing, from now on.
    pub(crate) async fn revoke_token(&self, name: &str, by: &By) -> Result<()> {
        self.change(by, name.to_owned(), |tx, name, note| Box::pin(revoke(tx, name, note))).await
    }
}

async fn create(tx: &mut AnyConnection, id: i64, new: &NewToken, note: &Note) -> Result<Token> {
    let scopes: Vec<String> = new.scopes.iter().map(Scope::to_string).collect();
    let sql = "INSERT INTO tokens (id, name, hash, scopes, created, expires)
               VALUES ($1, $2, $3, $4, $5, $6)";
    sqlx::query(sql)
        .bind(id)
        .bind(new.name.as_str())
        .bind(new.hash.to_string())
        .bind(scopes.join(" "))
        .bind(note.by().at)
        .bind(new.expires)
        .execute(&mut *tx)
        .await
        .map_err(|error| StoreError::or_exists(error, What::Token, &new.name))?;
    note.write(tx, "created", What::Token, &new.name, &scopes.join(", ")).await?;
    let NewToken { name, scopes, expires, .. } = new.clone();
    Ok(Token { id, name, scopes, created: note.by().at, expires, used: None })
}

async fn find(tx: &mut AnyConnection, hash: Sha256) -> Result<Option<Token>> {
    let sql = "SELECT id, name, scopes, created, expires, used FROM tokens WHERE hash = $1";
    let row = sqlx::query(sql).bind(hash.to_string()).fetch_optional(tx).await?;
    row.as_ref().map(token).transpose()
}

async fn used(tx: &mut AnyConnection, id: i64, now: i64) -> Result<()> {
    let sql = "UPDATE tokens SET used = $2 WHERE id = $1";
    sqlx::query(sql).bind(id).bind(now).execute(tx).await?;
    Ok(())
}

async fn list(tx: &mut AnyConnection) -> Result<Vec<Token>> {
    let sql = "SELECT id, name, scopes, created, expires, used FROM tokens ORDER BY name";
    sqlx::query(sql).fetch_all(tx).await?.iter().map(token).collect()
}

async fn revoke(tx: &mut AnyConnection, name: &str, note: &Note) -> Result<()> {
    let sql = "DELETE FROM tokens WHERE name = $1";
    if sqlx::query(sql).bind(name).execute(&mut *tx).await?.rows_affected() == 0 {
        return Err(StoreError::missing(What::Token, name));
    }
    note.write(tx, "revoked", What::Token, name, "").await
}

fn token(row: &AnyRow) -> Result<Token> {
    let scopes: String = row.try_get("scopes")?;
    let corrupt = |NoScope(value)| StoreError::Corrupt { column: "tokens.scopes", value };
    Ok(Token {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        scopes: scopes
            .split_ascii_whitespace()
            .map(|word| word.parse().map_err(corrupt))
            .collect::<Result<_>>()?,
        created: row.try_get("created")?,
        expires: row.try_get("expires")?,
        used: row.try_get("used")?,
    })
}

impl Scope {
    const ALL: [Self; 5] = [Self::Read, Self::Devices, Self::Publish, Self::Rollout, Self::Admin];

    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Devices => "devices",
            Self::Publish => "publish",
            Self::Rollout => "rollout",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(word: &str) -> Result<Self, NoScope> {
        Self::ALL.into_iter().find(|scope| scope.word() == word).ok_or_else(|| NoScope(word.into()))
    }
}
