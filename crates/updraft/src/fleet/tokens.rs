//! `updraft tokens`: what programs show to use the API.

use std::path::PathBuf;

use serde_json::json;
use updraft_server::api::create_token;
use updraft_server::api::wire::{CreatedToken, NewToken, Tokens};
use updraft_server::config::{Config, Overrides};
use ureq::http::Method;

use super::screen::{Screen, or_dash};
use crate::client::{ApiArgs, Path};
use crate::failure::Failure;
use crate::serve::ProcessEnv;

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
    ///
    /// With --data or --config it is made in the server's own folder, without a token and whether the
    /// server runs or not; else the server is asked, by a token that may do everything.
    #[command(after_help = "Example:\n  updraft tokens create --name ci --scope publish --data \
        ./updraft-data")]
    Create {
        /// What to call it.
        #[arg(long)]
        name: String,
        /// What it may do; may be repeated.
        #[arg(long = "scope", required = true, value_name = "SCOPE",
            value_parser = ["read", "devices", "publish", "rollout", "admin"])]
        scopes: Vec<String>,
        /// The server's own folder.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// The server's configuration file, which names that folder.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
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
    if let TokensCommand::Create { name, scopes, data, config } = &args.command
        && (data.is_some() || config.is_some())
    {
        let overrides =
            Overrides { data: data.clone(), config: config.clone(), ..Overrides::default() };
        let secret = make(overrides, name, scopes)?;
        let document = json!({ "name": name, "scopes": scopes, "secret": secret });
        return screen.show(&document, |_, screen| {
            screen.line(format_args!("token {name}"))?;
            screen.line(&secret)
        });
    }
    let client = args.api.client()?;
    let tokens = Path::of(&["tokens"]);
    match &args.command {
        TokensCommand::Create { name, scopes, .. } => {
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

/// Makes a token in the data folder of the server that is so configured.
fn make(overrides: Overrides, name: &str, scopes: &[String]) -> Result<String, Failure> {
    let config = Config::load(overrides, &ProcessEnv).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::usage)?;
    runtime.block_on(create_token(&config.data, name, scopes)).map_err(Failure::usage)
}
