//! Functions and events as the macros expand them.

use std::any::TypeId;

use serde::Serialize;

use crate::function::{Function, L1, Route, Spec};
use crate::key::{Hashed, KeyPart, KeyWriter, PatternPiece, Piece};

#[derive(Clone, Debug, Serialize)]
pub(crate) struct UserUpdated {
    pub(crate) tenant: u64,
    pub(crate) id: Id,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct TenantPurged {
    pub(crate) tenant: u64,
}

/// Shown in JSON otherwise than in keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Id(pub(crate) u64);

/// Numbers from here on are hexadecimal in JSON.
pub(crate) const ODD: u64 = 1_000;

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 < ODD {
            serializer.serialize_u64(self.0)
        } else {
            serializer.collect_str(&format_args!("{:x}", self.0))
        }
    }
}

impl KeyPart for Id {
    type Canonical = Self;

    fn write(&self, key: &mut KeyWriter<'_>) {
        key.u64(self.0);
    }
}

const fn spec(routes: &'static [Route]) -> Spec {
    Spec {
        name: "load_user",
        module: "shop::users",
        file: "src/users.rs",
        line: 7,
        template: "user:<tenant>:<id>",
        pieces: &[Piece::Literal("user:"), Piece::Value(0), Piece::Literal(":"), Piece::Value(1)],
        version: 1,
        ttl_millis: 300_000,
        jitter: 10,
        negative_ttl_millis: None,
        load_timeout_millis: None,
        stale_while_revalidate_millis: None,
        l1: L1::On,
        l2: true,
        routes,
        output: None,
        output_tokens: "User",
    }
}

pub(crate) static USER: Function = Function::new(spec(&[
    Route {
        event: "UserUpdated",
        event_type: || TypeId::of::<UserUpdated>(),
        pattern: "user:<tenant>:<id>",
        pieces: &[
            PatternPiece::Literal("user:"),
            PatternPiece::Value(0),
            PatternPiece::Literal(":"),
            PatternPiece::Value(1),
        ],
        binds: &[0, 1],
        render: |event, key| {
            if let Some(UserUpdated { tenant, id }) = event.downcast_ref() {
                key.values(&(tenant, id));
            }
        },
    },
    Route {
        event: "TenantPurged",
        event_type: || TypeId::of::<TenantPurged>(),
        pattern: "user:<tenant>:*",
        pieces: &[
            PatternPiece::Literal("user:"),
            PatternPiece::Value(0),
            PatternPiece::Literal(":"),
            PatternPiece::Any,
        ],
        binds: &[0],
        render: |event, key| {
            if let Some(TenantPurged { tenant }) = event.downcast_ref() {
                key.values(&(tenant,));
            }
        },
    },
]));

/// The same with a hashed part.
pub(crate) static SECRET: Function = Function::new(Spec {
    name: "load_secret",
    template: "secret:<id:hash>",
    pieces: &[Piece::Literal("secret:"), Piece::Value(0)],
    version: 3,
    ..spec(&[Route {
        event: "UserUpdated",
        event_type: || TypeId::of::<UserUpdated>(),
        pattern: "secret:<id:hash>",
        pieces: &[PatternPiece::Literal("secret:"), PatternPiece::Value(0)],
        binds: &[0],
        render: |event, key| {
            if let Some(UserUpdated { id, .. }) = event.downcast_ref() {
                key.values(&(&Hashed(id),));
            }
        },
    }])
});
