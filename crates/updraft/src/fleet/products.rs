//! `updraft products`: lines of firmware and their rules.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use updraft_server::api::wire::{Auth, NewProduct, PatchSettings, Product, SetAuth};
use ureq::http::Method;

use super::screen::{self, Screen};
use crate::client::{ApiArgs, Path};
use crate::failure::Failure;
use crate::files;

/// Look at products, make them, and set their rules.
#[derive(Debug, clap::Args)]
pub(crate) struct ProductsArgs {
    #[command(flatten)]
    pub(super) api: ApiArgs,
    #[command(subcommand)]
    command: ProductsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ProductsCommand {
    /// List all products.
    #[command(after_help = "Example:\n  updraft products list")]
    List,
    /// Show a product with its rules.
    #[command(after_help = "Example:\n  updraft products show door")]
    Show {
        /// The product.
        product: String,
    },
    /// Make a product.
    #[command(after_help = "Example:\n  updraft products create door --unknown-devices pending")]
    Create {
        /// Its name, which stands in `/update/<name>`.
        product: String,
        #[command(flatten)]
        rules: RuleArgs,
    },
    /// Set rules of a product; the others stay as they are.
    #[command(after_help = "Example:\n  updraft products set door --floor 1.0.0 --signing-key \
        fleet.pub.pem")]
    Set {
        /// The product.
        product: String,
        #[command(flatten)]
        rules: RuleArgs,
    },
    /// Remove a product.
    #[command(after_help = "Example:\n  updraft products remove door")]
    Remove {
        /// The product.
        product: String,
        /// Ask nothing.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct RuleArgs {
    /// What a device that nobody knows gets.
    #[arg(long, value_parser = ["open", "pending", "closed"])]
    unknown_devices: Option<String>,
    /// What becomes of a build that nobody published.
    #[arg(long, value_parser = ["older-only", "hold", "replace"])]
    unknown_build: Option<String>,
    /// Whether a channel may take a device to a lower version.
    #[arg(long, value_parser = ["refuse", "allow"])]
    downgrade: Option<String>,
    /// A version that no device may skip on its way up; may be repeated. These replace all before.
    #[arg(long = "floor", value_name = "VERSION", conflicts_with = "no_floors")]
    floors: Vec<String>,
    /// No version need be stopped at.
    #[arg(long)]
    no_floors: bool,
    /// What a device gets that cannot be compared with a floor.
    #[arg(long, value_parser = ["hold", "floor", "skip"])]
    unknown_version: Option<String>,
    /// The public key that images must be signed with.
    #[arg(long, value_name = "PUB.pem", conflicts_with = "no_signing_key")]
    signing_key: Option<PathBuf>,
    /// Images need no signature.
    #[arg(long)]
    no_signing_key: bool,
    /// What devices must show; the password or token is the first line of --secret-file.
    #[arg(long, value_parser = ["none", "basic", "path-token"])]
    auth: Option<String>,
    /// The user of --auth basic.
    #[arg(long)]
    user: Option<String>,
    /// File with the password of --auth basic, or the token of --auth path-token.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Whether a MAC is enough to get its images.
    #[arg(long, value_parser = ["public", "private"])]
    privacy: Option<String>,
    /// To which devices a gzip is sent.
    #[arg(long, value_parser = ["proven", "always", "never"])]
    gzip: Option<String>,
    /// The channel of devices that follow no other.
    #[arg(long, value_name = "CHANNEL")]
    default_channel: Option<String>,
    /// What becomes of a device that asks for another product than its own.
    #[arg(long, value_parser = ["move", "hold"])]
    mismatch: Option<String>,
    /// Seconds between two check-ins; 0: they are learnt.
    #[arg(long, value_name = "SECONDS")]
    expected_poll: Option<u64>,
}

pub(super) fn run(args: &ProductsArgs, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let client = args.api.client()?;
    let all = Path::of(&["products"]);
    match &args.command {
        ProductsCommand::List => {
            let all: Vec<Product> = client.all(&all)?;
            screen.show(&all, |all, screen| {
                let rows = all.iter().map(|product| {
                    let rules = &product.settings;
                    [&product.name, &rules.default_channel, &rules.unknown_devices]
                        .map(Clone::clone)
                });
                screen.table(["PRODUCT", "CHANNEL", "UNKNOWN DEVICES"], rows)
            })
        }
        ProductsCommand::Show { product } => {
            let product: Product = client.get(&Path::of(&["products", product]))?;
            screen.show(&product, say)
        }
        ProductsCommand::Create { product, rules } => {
            let new = NewProduct { name: product.clone(), settings: rules.patch()? };
            let product: Product = client.change(Method::POST, &all, &new)?;
            screen.show(&product, say)
        }
        ProductsCommand::Set { product, rules } => {
            let patch = rules.patch()?;
            if patch == PatchSettings::default() {
                return Err(Failure::usage("nothing to set; --help lists the rules"));
            }
            let one = Path::of(&["products", product]);
            let product: Product = client.change(Method::PATCH, &one, &patch)?;
            screen.show(&product, say)
        }
        ProductsCommand::Remove { product, yes } => {
            if !yes {
                screen::agree(&format!(
                    "{product} goes, with its channels; it must have no releases and no devices."
                ))?;
            }
            client.delete(&Path::of(&["products", product]))?;
            screen.show(&json!({ "removed": product }), |_, screen| {
                screen.line(format_args!("{product} is removed"))
            })
        }
    }
}

impl RuleArgs {
    fn patch(&self) -> Result<PatchSettings, Failure> {
        let floors = (self.no_floors || !self.floors.is_empty()).then(|| self.floors.clone());
        let signing_key = match &self.signing_key {
            Some(path) => Some(Some(text(path)?)),
            None => self.no_signing_key.then_some(None),
        };
        Ok(PatchSettings {
            unknown_devices: self.unknown_devices.clone(),
            unknown_build: self.unknown_build.clone(),
            downgrade: self.downgrade.clone(),
            floors,
            unknown_version: self.unknown_version.clone(),
            signing_key,
            auth: self.auth()?,
            privacy: self.privacy.clone(),
            gzip: self.gzip.clone(),
            default_channel: self.default_channel.clone(),
            mismatch: self.mismatch.clone(),
            expected_poll: self.expected_poll.map(|seconds| (seconds != 0).then_some(seconds)),
        })
    }

    fn auth(&self) -> Result<Option<SetAuth>, Failure> {
        let secret = || match &self.secret_file {
            Some(path) => Ok(text(path)?.lines().next().unwrap_or_default().to_owned()),
            None => Err(Failure::usage("give the password or token by --secret-file")),
        };
        Ok(match self.auth.as_deref() {
            None => None,
            Some("basic") => {
                let user = self.user.clone();
                let user = user.ok_or_else(|| Failure::usage("--auth basic needs --user"))?;
                Some(SetAuth::Basic { user, password: secret()? })
            }
            Some("path-token") => Some(SetAuth::PathToken { token: secret()? }),
            Some(_) => Some(SetAuth::None),
        })
    }
}

fn text(path: &std::path::Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| files::unreadable(path, &error))
}

fn say(product: &Product, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let rules = &product.settings;
    screen.line(&product.name)?;
    let auth = match &rules.auth {
        Auth::None => "none".to_owned(),
        Auth::Basic { user } => format!("basic, user {user}"),
        Auth::PathToken => "path-token".to_owned(),
    };
    let floors = rules.floors.join(", ");
    let key = rules.signing_key.as_ref().map_or("none", |key| &key.id);
    let poll = rules.expected_poll.map_or("learnt".to_owned(), |poll| format!("{poll} s"));
    let lines: [(&str, &str); 12] = [
        ("unknown devices", &rules.unknown_devices),
        ("unknown build", &rules.unknown_build),
        ("downgrade", &rules.downgrade),
        ("floors", if floors.is_empty() { "none" } else { &floors }),
        ("unknown version", &rules.unknown_version),
        ("signing key", key),
        ("auth", &auth),
        ("privacy", &rules.privacy),
        ("gzip", &rules.gzip),
        ("default channel", &rules.default_channel),
        ("mismatch", &rules.mismatch),
        ("expected poll", &poll),
    ];
    lines.iter().try_for_each(|(name, value)| screen.line(format_args!("  {name:<17}{value}")))
}
