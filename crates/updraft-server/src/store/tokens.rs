//! API tokens: names, scopes and the hash by which one is recognised. A token itself is never stored.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use super::events::{By, Note};
use super::ids::Series;
use super::row::{Columns as _, corrupt};
use super::{Durability, Result, Store, StoreError, What};
use crate::digest::Sha256;
use crate::fleet::{Scope, Subject, Token, TokenKey};

/// A token to be.
#[derive(Clone, Debug)]
pub(crate) struct NewToken {
    /// See [`Token::name`]; taken again once the former one is withdrawn.
    pub name: String,
    /// See [`Token::scopes`].
    pub scopes: BTreeSet<Scope>,
    /// See [`Token::hash`].
    pub hash: Sha256,
}

/// How old the last use may look, in milliseconds: a token used all day is not written all day.
const USED_TO: i64 = 60_000;

impl Store {
    /// Makes a token known.
    pub(crate) async fn create_token(&self, new: NewToken, by: &By) -> Result<Token> {
        let input = (self.id(Series::Tokens).await?, new);
        self.change(by, input, |tx, (id, new), note| Box::pin(create(tx, *id, new, note))).await
    }

    /// The token of this hash, unless it was withdrawn.
    pub(crate) async fn token(&self, hash: Sha256, now: Timestamp) -> Result<Option<Token>> {
        let Some(token) = self.read(hash, |tx, hash| Box::pin(find(tx, *hash))).await? else {
            return Ok(None);
        };
        let now = now.as_millisecond();
        if token.last_used_at.is_none_or(|used| now - used.as_millisecond() >= USED_TO) {
            self.write((token.key, now), Durability::Relaxed, |tx, (key, now)| {
                Box::pin(used(tx, *key, *now))
            })
            .await?;
        }
        Ok(Some(token))
    }

    /// All tokens, those that were withdrawn too, by number.
    pub(crate) async fn tokens(&self) -> Result<Vec<Token>> {
        self.read((), |tx, ()| Box::pin(list(tx))).await
    }

    /// Makes a token worth nothing, from now on.
    pub(crate) async fn revoke_token(&self, name: &str, by: &By) -> Result<()> {
        self.change(by, name.to_owned(), |tx, name, note| Box::pin(revoke(tx, name, note))).await
    }
}

async fn create(tx: &mut AnyConnection, id: i64, new: &NewToken, note: &Note) -> Result<Token> {
    let scopes: Vec<&str> = new.scopes.iter().map(|scope| scope.name()).collect();
    let scopes = scopes.join(" ");
    let sql = "INSERT INTO tokens (id, name, scopes, hash, created_at) VALUES ($1, $2, $3, $4, $5)
               RETURNING *";
    let row = sqlx::query(sql)
        .bind(id)
        .bind(new.name.as_str())
        .bind(scopes.as_str())
        .bind(new.hash.to_string())
        .bind(note.at())
        .fetch_one(&mut *tx)
        .await
        .map_err(|error| StoreError::or_exists(error, What::Token, &new.name))?;
    let words = format!("token {} created: {scopes}", new.name);
    note.write(tx, &Subject::default(), &words).await?;
    token(&row)
}

async fn find(tx: &mut AnyConnection, hash: Sha256) -> Result<Option<Token>> {
    let sql = "SELECT * FROM tokens WHERE hash = $1 AND revoked_at IS NULL";
    let row = sqlx::query(sql).bind(hash.to_string()).fetch_optional(tx).await?;
    row.as_ref().map(token).transpose()
}

async fn used(tx: &mut AnyConnection, key: TokenKey, now: i64) -> Result<()> {
    let sql = "UPDATE tokens SET last_used_at = $2 WHERE id = $1";
    sqlx::query(sql).bind(key.0).bind(now).execute(tx).await?;
    Ok(())
}

async fn list(tx: &mut AnyConnection) -> Result<Vec<Token>> {
    sqlx::query("SELECT * FROM tokens ORDER BY id").fetch_all(tx).await?.iter().map(token).collect()
}

async fn revoke(tx: &mut AnyConnection, name: &str, note: &Note) -> Result<()> {
    let sql = "UPDATE tokens SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL";
    let query = sqlx::query(sql).bind(name).bind(note.at());
    if query.execute(&mut *tx).await?.rows_affected() == 0 {
        return Err(StoreError::missing(What::Token, name));
    }
    note.write(tx, &Subject::default(), &format!("token {name} withdrawn")).await
}

fn token(row: &AnyRow) -> Result<Token> {
    let scopes = row.text("scopes")?;
    let scope = |word: &str| word.parse().map_err(|_| corrupt("tokens.scopes", scopes.as_str()));
    Ok(Token {
        key: TokenKey(row.number("id")?),
        name: row.text("name")?,
        scopes: scopes.split_ascii_whitespace().map(scope).collect::<Result<_>>()?,
        hash: row.parsed("hash")?,
        created_at: row.time("created_at")?,
        last_used_at: row.maybe_time("last_used_at")?,
        revoked_at: row.maybe_time("revoked_at")?,
    })
}
