//! The same shop by two ways: every read from the database, or through the cache.

use std::sync::Arc;

use crate::db::Db;
use crate::goods::{Orders, Price, ProductPage, Recommendations, ShopError, Stock};
use crate::shop;

/// How the shop reads. It writes the same way in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The `_uncached` companions: the bodies alone.
    Direct,
    /// The annotated functions.
    Cached,
}

/// The shop as the traffic sees it.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) db: Db,
    pub(crate) way: Way,
}

impl Shop {
    pub(crate) async fn product_page(&self, product: u32) -> Result<Arc<ProductPage>, ShopError> {
        match self.way {
            Way::Direct => shop::product_page_uncached(product, &self.db).await,
            Way::Cached => shop::product_page(product, &self.db).await,
        }
    }

    pub(crate) async fn price(&self, product: u32) -> Result<Price, ShopError> {
        match self.way {
            Way::Direct => shop::price_uncached(product, &self.db).await,
            Way::Cached => shop::price(product, &self.db).await,
        }
    }

    pub(crate) async fn inventory(&self, product: u32) -> Result<Stock, ShopError> {
        match self.way {
            Way::Direct => shop::inventory_uncached(product, &self.db).await,
            Way::Cached => shop::inventory(product, &self.db).await,
        }
    }

    pub(crate) async fn recommendations(&self, user: u32) -> Result<Arc<Recommendations>, ShopError> {
        match self.way {
            Way::Direct => shop::recommendations_uncached(user, &self.db).await,
            Way::Cached => shop::recommendations(user, &self.db).await,
        }
    }

    pub(crate) async fn orders(&self, user: u32) -> Result<Arc<Orders>, ShopError> {
        match self.way {
            Way::Direct => shop::orders_uncached(user, &self.db).await,
            Way::Cached => shop::orders(user, &self.db).await,
        }
    }
}
