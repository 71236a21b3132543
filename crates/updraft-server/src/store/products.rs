//! Products and their rules, which are one text here: no query asks for any of them.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::events::{By, Note};
use super::page::{Page, Paged};
use super::row::{Columns as _, corrupt};
use super::{Result, Store, StoreError, What};
use crate::fleet::{Product, ProductName, Settings, Subject};

/// A change of a product's rules.
#[derive(Clone, Debug)]
pub(crate) struct SetProduct {
    /// The product.
    pub name: ProductName,
    /// Only if the rules are still these (`If-Match`).
    pub was: Option<Settings>,
    /// The rules from now on.
    pub settings: Settings,
    /// What changes, in words.
    pub words: String,
}

impl Store {
    /// Makes a product.
    pub(crate) async fn create_product(
        &self,
        name: ProductName,
        settings: Settings,
        by: &By,
    ) -> Result<Product> {
        self.change(by, (name, settings), |tx, (name, settings), note| {
            Box::pin(create(tx, name, settings, note))
        })
        .await
    }

    /// One product.
    pub(crate) async fn product(&self, name: ProductName) -> Result<Product> {
        self.read(name, |tx, name| Box::pin(one(tx, name))).await
    }

    /// All products, by name.
    pub(crate) async fn products(
        &self,
        page: Page<ProductName>,
    ) -> Result<Paged<Product, ProductName>> {
        self.read(page, |tx, page| Box::pin(list(tx, page))).await
    }

    /// Changes a product's rules.
    pub(crate) async fn set_product(&self, set: SetProduct, by: &By) -> Result<Product> {
        self.change(by, set, |tx, new, note| Box::pin(change(tx, new, note))).await
    }

    /// Removes a product that no release and no device belongs to.
    pub(crate) async fn remove_product(&self, name: ProductName, by: &By) -> Result<()> {
        self.change(by, name, |tx, name, note| Box::pin(remove(tx, name, note))).await
    }
}

async fn create(
    tx: &mut AnyConnection,
    name: &ProductName,
    settings: &Settings,
    note: &Note,
) -> Result<Product> {
    let sql = "INSERT INTO products (name, created_at, settings) VALUES ($1, $2, $3)";
    sqlx::query(sql)
        .bind(name.as_str())
        .bind(note.at())
        .bind(json(settings)?)
        .execute(&mut *tx)
        .await
        .map_err(|error| StoreError::or_exists(error, What::Product, name))?;
    note.write(&mut *tx, &subject(name), &format!("product {name} created")).await?;
    one(tx, name).await
}

/// The product of this name.
pub(super) async fn one(tx: &mut AnyConnection, name: &ProductName) -> Result<Product> {
    let query = sqlx::query("SELECT * FROM products WHERE name = $1").bind(name.as_str());
    match query.fetch_optional(tx).await? {
        Some(row) => product(&row),
        None => Err(StoreError::missing(What::Product, name)),
    }
}

async fn list(
    tx: &mut AnyConnection,
    page: &Page<ProductName>,
) -> Result<Paged<Product, ProductName>> {
    let sql = "SELECT * FROM products WHERE name > $1 ORDER BY name LIMIT $2";
    let after = page.after.as_ref().map_or("", ProductName::as_str);
    let rows = sqlx::query(sql).bind(after).bind(page.rows()).fetch_all(tx).await?;
    let products = rows.iter().map(product).collect::<Result<Vec<_>>>()?;
    Ok(page.cut(products, |product| product.name.clone()))
}

async fn change(tx: &mut AnyConnection, new: &SetProduct, note: &Note) -> Result<Product> {
    let SetProduct { name, was, settings, words } = new;
    let found = one(&mut *tx, name).await?;
    if was.as_ref().is_some_and(|was| *was != found.settings) {
        return Err(StoreError::Changed { what: What::Product, name: name.to_string() });
    }
    let query = sqlx::query("UPDATE products SET settings = $2 WHERE name = $1");
    query.bind(name.as_str()).bind(json(settings)?).execute(&mut *tx).await?;
    note.write(tx, &subject(name), words).await?;
    Ok(Product { settings: settings.clone(), ..found })
}

async fn remove(tx: &mut AnyConnection, name: &ProductName, note: &Note) -> Result<()> {
    one(&mut *tx, name).await?;
    let sql = "SELECT (SELECT COUNT(*) FROM releases WHERE product = $1),
                      (SELECT COUNT(*) FROM devices WHERE product = $1)";
    let row = sqlx::query(sql).bind(name.as_str()).fetch_one(&mut *tx).await?;
    let (releases, devices): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if releases > 0 || devices > 0 {
        let by = format!("{releases} releases and {devices} devices");
        return Err(StoreError::InUse { what: What::Product, name: name.to_string(), by });
    }
    for sql in ["DELETE FROM channels WHERE product = $1", "DELETE FROM products WHERE name = $1"] {
        sqlx::query(sql).bind(name.as_str()).execute(&mut *tx).await?;
    }
    note.write(tx, &subject(name), &format!("product {name} removed")).await
}

/// A product as the subject of an event.
pub(super) fn subject(name: &ProductName) -> Subject {
    Subject { product: Some(name.clone()), ..Subject::default() }
}

/// A product of a whole row.
pub(super) fn product(row: &AnyRow) -> Result<Product> {
    let settings = row.text("settings")?;
    Ok(Product {
        name: row.parsed("name")?,
        created_at: row.time("created_at")?,
        settings: serde_json::from_str(&settings)
            .map_err(|_| corrupt("products.settings", settings))?,
    })
}

fn json(settings: &Settings) -> Result<String> {
    serde_json::to_string(settings).map_err(|error| sqlx::Error::Encode(error.into()).into())
}
