//! Who calls, and whether they may: a handler names the scope that it needs by the type of its caller, so
//! none runs without. Tokens are never logged.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};

use super::problem::Problem;
use crate::fleet::{Actor, Scope};
use crate::people::PeopleState;
use crate::secret::Secret;
use crate::store::events::By;

/// A caller who may do what `S` stands for.
pub(crate) struct Caller<S> {
    /// Under which name, and when.
    pub(crate) by: By,
    scope: PhantomData<S>,
}

/// A scope as a type.
pub(crate) trait Needs {
    const SCOPE: Scope;
}

macro_rules! needs {
    ($($type:ident),+) => {
        $(
            pub(crate) struct $type;
            impl Needs for $type {
                const SCOPE: Scope = Scope::$type;
            }
        )+
    };
}
needs!(Read, Devices, Publish, Admin);

impl<S: Needs> FromRequestParts<PeopleState> for Caller<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &PeopleState) -> Result<Self, Problem> {
        let refused = |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, detail);
        let shown = parts.headers.get(header::AUTHORIZATION).ok_or_else(|| {
            refused("this needs a token: send \"Authorization: Bearer updraft_…\"")
        })?;
        let token = shown.to_str().ok().and_then(|text| text.split_once(' '));
        let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, token) = token.ok_or_else(|| {
            refused("the Authorization header has to be \"Bearer\", a space and a token")
        })?;
        let hash = Secret::hash(token.trim());
        let now = state.app.now();
        let found = state.app.registry.store.call(async move |store| store.token(hash, now).await);
        let token = found.await?.ok_or_else(|| {
            refused("this token is not known or was withdrawn; make one with updraft tokens create")
        })?;
        // Who may change things may look at them, too.
        let may = token.scopes.contains(&Scope::Admin)
            || token.scopes.contains(&S::SCOPE)
            || S::SCOPE == Scope::Read && !token.scopes.is_empty();
        if !may {
            let detail = format!(
                "the token {:?} has not the scope {} that this needs; use one that has it",
                token.name,
                S::SCOPE,
            );
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        Ok(Self { by: By { actor: Actor::Token(token.name), at: now }, scope: PhantomData })
    }
}
