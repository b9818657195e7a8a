//! What the attributes and derives expand to, kept readable.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

fn printed(tokens: TokenStream) -> String {
    let file = syn::parse2(tokens).expect("the expansion is a list of items");
    prettyplease::unparse(&file)
}

#[track_caller]
fn check_method(arguments: TokenStream, method: TokenStream) -> String {
    let items = crate::cached::cached(arguments, method);
    printed(quote!(impl Users { #items }))
}

#[test]
fn cached_function() {
    let arguments = quote! {
        ttl = "5m",
        jitter = 10,
        key = "user:<tenant>:<id>",
        invalidate_on = ["UserUpdated", "TenantPurged => user:<tenant>:*"]
    };
    let item = quote! {
        /// Loads a user.
        #[tracing::instrument]
        pub async fn load_user(tenant: u64, id: u64, #[cache(skip)] db: &Db) -> Result<User, DbError> {
            db.load(tenant, id).await
        }
    };
    insta::assert_snapshot!(printed(crate::cached::cached(arguments, item)));
}

#[test]
fn cached_with_every_key() {
    let arguments = quote! {
        ttl = "1h",
        jitter = 5,
        key = "search:<query:hash>:<page.number>",
        version = 3,
        skip(pool),
        own(query, pool),
        cache = crate::caches::search(),
        l1 = "30s",
        l2 = off,
        negative_ttl = "10s",
        store_if = is_complete,
        load_timeout = "2s",
        crate = framework::caching
    };
    let item = quote! {
        async fn search(query: &str, page: Page, pool: &Pool, _: Log) -> Option<Vec<Hit>> {
            pool.search(query, page).await
        }
    };
    insta::assert_snapshot!(printed(crate::cached::cached(arguments, item)));
}

#[test]
fn cached_method() {
    let arguments = quote!(ttl = "5m", key = "user:<self.tenant>:<id>", own(self));
    insta::assert_snapshot!(check_method(
        arguments,
        quote! {
            pub async fn load(&self, id: u64) -> Result<User, DbError> {
                self.db.load(self.tenant, id).await
            }
        }
    ));
}

#[test]
fn cached_without_companions() {
    let arguments = quote!(ttl = "5m", key = "user:<self.tenant>:<id>", companions = off);
    insta::assert_snapshot!(check_method(
        arguments,
        quote! {
            async fn load(&self, id: u64, #[cache(skip)] (a, b): (u8, u8)) -> Result<Self, DbError> {
                self.db.load(self.tenant, id, a, b).await
            }
        }
    ));
}

#[test]
fn cached_under_async_trait() {
    let arguments = quote!(ttl = "5m", key = "user:<id>", skip(self));
    insta::assert_snapshot!(check_method(
        arguments,
        quote! {
            fn load<'life0, 'async_trait>(
                &'life0 self,
                id: u64,
            ) -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = Option<User>> + ::core::marker::Send + 'async_trait>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                Box::pin(async move { self.db.load(id).await })
            }
        }
    ));
}

#[test]
fn a_mistaken_attribute_leaves_the_function() {
    let arguments = quote!(key = "user:<tennant>");
    let item = quote! {
        pub async fn load_user(#[cache(skip)] tenant: u64) -> User {
            what is this
        }
    };
    insta::assert_snapshot!(crate::cached::cached(arguments, item).to_string());
}

#[test]
fn emits() {
    let arguments = quote!(UserUpdated { tenant, id: result.id }, Saved::of(&name));
    let item = quote! {
        pub async fn rename(tenant: u64, id: u64, name: String, db: &Db) -> Result<User, DbError> {
            db.rename(tenant, id, name).await
        }
    };
    insta::assert_snapshot!(printed(crate::emits::emits(arguments, item)));
}

#[test]
fn derive_event() {
    let input: DeriveInput = syn::parse_quote! {
        #[event(name = "user.updated")]
        pub struct UserUpdated {
            pub tenant: u64,
            pub r#type: u64,
        }
    };
    insta::assert_snapshot!(printed(crate::event::derive(&input)));
}

#[test]
fn derive_key_part() {
    let newtype: DeriveInput = syn::parse_quote!(
        struct Id<T>(u64, PhantomData<T>);
    );
    let several: DeriveInput = syn::parse_quote!(
        struct Place<T> {
            country: T,
            city: String,
        }
    );
    let kinds: DeriveInput = syn::parse_quote! {
        enum Currency {
            Euro,
            Pair(u8, String),
            Other { code: String },
        }
    };
    let all = [newtype, several, kinds].iter().map(crate::key_part::derive).collect();
    insta::assert_snapshot!(printed(all));
}
