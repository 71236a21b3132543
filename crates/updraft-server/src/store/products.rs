//! Products. What their settings mean is the fleet's to know: here they are one text.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::events::{By, Note};
use super::page::{Page, Paged};
use super::{Result, Store, StoreError, What};

/// A line of firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    /// Its name, ASCII.
    pub name: String,
    /// Its settings, as JSON.
    pub settings: String,
    /// Unix milliseconds.
    pub created: i64,
    /// Goes up with each change of it.
    pub edition: i64,
}

impl Store {
    /// Makes a product.
    pub(crate) async fn create_product(
        &self,
        name: &str,
        settings: &str,
        by: &By,
    ) -> Result<Product> {
        let input = (name.to_owned(), settings.to_owned());
        self.change(by, input, |tx, (name, settings), note| {
            Box::pin(create(tx, name, settings, note))
        })
        .await
    }

    /// One product.
    pub(crate) async fn product(&self, name: &str) -> Result<Product> {
        self.read(name.to_owned(), |tx, name| Box::pin(one(tx, name))).await
    }

    /// All products, by name.
    pub(crate) async fn products(&self, page: Page<String>) -> Result<Paged<Product, String>> {
        self.read(page, |tx, page| Box::pin(list(tx, page))).await
    }

    /// Changes the settings. `words` tell the change to people; with `edition`, only if nobody else has
    /// changed it since.
    pub(crate) async fn set_product(
        &self,
        name: &str,
        settings: &str,
        edition: Option<i64>,
        words: &str,
        by: &By,
    ) -> Result<Product> {
        let input = (name.to_owned(), settings.to_owned(), edition, words.to_owned());
        self.change(by, input, |tx, (name, settings, edition, words), note| {
            Box::pin(set(tx, name, settings, *edition, words, note))
        })
        .await
    }

    /// Removes a product that no release and no device belongs to.
    pub(crate) async fn remove_product(&self, name: &str, by: &By) -> Result<()> {
        self.change(by, name.to_owned(), |tx, name, note| Box::pin(remove(tx, name, note))).await
    }
}

async fn create(
    tx: &mut AnyConnection,
    name: &str,
    settings: &str,
    note: &Note,
) -> Result<Product> {
    let sql = "INSERT INTO products (name, settings, created, edition) VALUES ($1, $2, $3, 1)";
    sqlx::query(sql)
        .bind(name)
        .bind(settings)
        .bind(note.by().at)
        .execute(&mut *tx)
        .await
        .map_err(|error| StoreError::or_exists(error, What::Product, name))?;
    note.write(tx, "created", What::Product, name, "").await?;
    let (name, settings) = (name.to_owned(), settings.to_owned());
    Ok(Product { name, settings, created: note.by().at, edition: 1 })
}

/// The product of this name.
pub(super) async fn one(tx: &mut AnyConnection, name: &str) -> Result<Product> {
    let sql = "SELECT name, settings, created, edition FROM products WHERE name = $1";
    match sqlx::query(sql).bind(name).fetch_optional(tx).await? {
        Some(row) => Ok(product(&row)?),
        None => Err(StoreError::missing(What::Product, name)),
    }
}

async fn list(tx: &mut AnyConnection, page: &Page<String>) -> Result<Paged<Product, String>> {
    let sql = "SELECT name, settings, created, edition FROM products WHERE name > $1
               ORDER BY name LIMIT $2";
    let query = sqlx::query(sql).bind(page.after.as_deref().unwrap_or("")).bind(page.rows());
    let rows = query.fetch_all(tx).await?;
    let products = rows.iter().map(product).collect::<sqlx::Result<Vec<_>>>()?;
    Ok(page.cut(products, |product| product.name.clone()))
}

async fn set(
    tx: &mut AnyConnection,
    name: &str,
    settings: &str,
    edition: Option<i64>,
    words: &str,
    note: &Note,
) -> Result<Product> {
    let found = one(&mut *tx, name).await?;
    if edition.is_some_and(|edition| edition != found.edition) {
        return Err(StoreError::Changed { what: What::Product, name: name.to_owned() });
    }
    let sql = "UPDATE products SET settings = $2, edition = edition + 1 WHERE name = $1";
    sqlx::query(sql).bind(name).bind(settings).execute(&mut *tx).await?;
    note.write(tx, "changed", What::Product, name, words).await?;
    Ok(Product { settings: settings.to_owned(), edition: found.edition + 1, ..found })
}

async fn remove(tx: &mut AnyConnection, name: &str, note: &Note) -> Result<()> {
    one(&mut *tx, name).await?;
    let count = async |tx: &mut AnyConnection, sql: &'static str| {
        sqlx::query(sql).bind(name).fetch_one(tx).await?.try_get::<i64, _>(0)
    };
    let releases = count(&mut *tx, "SELECT COUNT(*) FROM releases WHERE product = $1").await?;
    let devices = count(&mut *tx, "SELECT COUNT(*) FROM devices WHERE product = $1").await?;
    if releases > 0 || devices > 0 {
        let by = format!("{releases} releases and {devices} devices");
        return Err(StoreError::InUse { what: What::Product, name: name.to_owned(), by });
    }
    for sql in ["DELETE FROM channels WHERE product = $1", "DELETE FROM products WHERE name = $1"] {
        sqlx::query(sql).bind(name).execute(&mut *tx).await?;
    }
    note.write(tx, "removed", What::Product, name, "").await
}

fn product(row: &AnyRow) -> sqlx::Result<Product> {
    Ok(Product {
        name: row.try_get("name")?,
        settings: row.try_get("settings")?,
        created: row.try_get("created")?,
        edition: row.try_get("edition")?,
    })
}
