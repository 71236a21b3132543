//! `updraft tokens`: what programs show to use the API.

use serde_json::json;
use updraft_server::api::wire::{CreatedToken, NewToken, Tokens};
use ureq::http::Method;

use super::screen::{Screen, or_dash};
use crate::client::{ApiArgs, Path};
use crate::failure::Failure;

/// Make, list and withdraw the tokens that programs use the API with.
#[derive(Debug, clap::Args)]
pub(crate) struct TokensArgs {
    #[command(flatten)]
    pub(super) api: ApiArgs,
    #[command(subcommand)]
    command: TokensCommand,
}

#[derive(Debug, clap::Subcommand)]
enum TokensCommand {
    /// Make a token; the last line is the token itself, which is shown this once.
    #[command(after_help = "Example:\n  updraft tokens create --name ci --scope publish")]
    Create {
        /// What to call it.
        #[arg(long)]
        name: String,
        /// What it may do; may be repeated.
        #[arg(long = "scope", required = true, value_name = "SCOPE",
            value_parser = ["read", "devices", "publish", "rollout", "admin"])]
        scopes: Vec<String>,
    },
    /// List all tokens.
    #[command(after_help = "Example:\n  updraft tokens list")]
    List,
    /// Withdraw a token, at once.
    #[command(after_help = "Example:\n  updraft tokens revoke 3")]
    Revoke {
        /// Its number.
        id: i64,
    },
}

pub(super) fn run(args: &TokensArgs, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let client = args.api.client()?;
    let tokens = Path::of(&["tokens"]);
    match &args.command {
        TokensCommand::Create { name, scopes } => {
            let new = NewToken { name: name.clone(), scopes: scopes.clone() };
            let created: CreatedToken = client.change(Method::POST, &tokens, &new)?;
            screen.show(&created, |created, screen| {
                screen.line(format_args!("token {}, {}", created.token.id, created.token.name))?;
                screen.line(&created.secret)
            })
        }
        TokensCommand::List => {
            let all: Tokens = client.get(&tokens)?;
            screen.show(&all, |all, screen| {
                let rows = all.items.iter().map(|token| {
                    [
                        token.id.to_string(),
                        token.name.clone(),
                        token.scopes.join(","),
                        or_dash(token.last_used_at),
                        or_dash(token.revoked_at),
                    ]
                });
                screen.table(["ID", "NAME", "SCOPES", "LAST USED", "WITHDRAWN"], rows)
            })
        }
        TokensCommand::Revoke { id } => {
            client.delete(&Path::of(&["tokens", &id.to_string()]))?;
            screen.show(&json!({ "revoked": id }), |_, screen| {
                screen.line(format_args!("token {id} is withdrawn"))
            })
        }
    }
}
