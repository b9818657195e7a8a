//! What the shop deals in. Whatever a cached function returns must be able to leave the process.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::db::DbError;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProductPage {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) price: Price,
    pub(crate) similar: Vec<(u32, String)>,
}

/// A price, and how often it has been set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Price {
    pub(crate) cents: u32,
    pub(crate) version: u32,
}

/// How much is there, and how often that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stock {
    pub(crate) quantity: u32,
    pub(crate) version: u32,
}

/// What to show a user, made of the first `version` orders of that user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recommendations {
    pub(crate) products: Vec<(u32, String)>,
    pub(crate) version: u32,
}

/// The latest orders of a user, who has placed `version` of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) latest: Vec<Order>,
    pub(crate) version: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) product: u32,
    pub(crate) quantity: u32,
    pub(crate) cents: u32,
}

/// The outcome of an order: its number and the versions that it brought about.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) order: i64,
    pub(crate) stock: u32,
    pub(crate) orders: u32,
}

/// Why the shop has no answer.
#[derive(Debug)]
pub(crate) enum ShopError {
    NotFound,
    SoldOut,
    Database(DbError),
}

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such product or user"),
            Self::SoldOut => f.write_str("not enough of the product is left"),
            Self::Database(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ShopError {}

impl From<DbError> for ShopError {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}
