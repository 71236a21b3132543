//! `updraft keys`: the keys that sign firmware, made and named.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use getrandom::SysRng;
use serde::Serialize;
use updraft_core::signature::KeyKind;
use updraft_pack::{PublicKey, SigningKey};

use crate::failure::Failure;
use crate::files::{self, Access, Existing};
use crate::key_file::{self, Half, KeyName};
use crate::ui;

/// `updraft keys ...`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key, in two files: the private half, and the public one that goes into the sketch.
    New(NewArgs),
    /// Say what a key is, by its private or its public half.
    Show(ShowArgs),
}

/// Arguments of `updraft keys new`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  updraft keys new -o fleet.pem\n\n\
    Exit status: 0 if the key was made, 2 if a file exists already or cannot be written. Keep the \
    private half where nobody else reads it, and a copy of it: without it no device that asks for \
    its signature can be updated.")]
pub(crate) struct NewArgs {
    /// What kind of key; every device can check RSA-2048.
    #[arg(long = "type", value_enum, default_value = "rsa-2048", value_name = "TYPE")]
    kind: KindArg,
    /// Where the private half goes: a file that only its owner may read.
    #[arg(short, long, value_name = "PRIV.pem")]
    output: PathBuf,
    /// Where the public half goes; without this beside it, as PRIV.pub.pem.
    #[arg(long, value_name = "PUB.pem")]
    public: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Arguments of `updraft keys show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  updraft keys show fleet.pub.pem\n\n\
    Exit status: 0 if it is a key that can sign or check firmware, 2 if not.")]
pub(crate) struct ShowArgs {
    /// A key in PEM, private or public.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KindArg {
    #[value(name = "rsa-2048")]
    Rsa2048,
    #[value(name = "rsa-3072")]
    Rsa3072,
    #[value(name = "rsa-4096")]
    Rsa4096,
    #[value(name = "p256")]
    P256,
}

/// Runs the command; what it says goes to `out`.
pub(crate) fn run(command: &KeysCommand, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (made, json) = match command {
        KeysCommand::New(args) => (new(args), args.json),
        KeysCommand::Show(args) => (show(args), args.json),
    };
    match made {
        Ok(report) => print(&report, json, out).map(|()| ExitCode::SUCCESS),
        Err(failure) => Ok(failure.end()),
    }
}

/// Names stay, fields are only added; what is not known is `null`.
#[derive(Serialize)]
struct Report {
    /// Files with the halves.
    private: Option<String>,
    public: Option<String>,
    /// Its `kind` and `fingerprint`.
    #[serde(flatten)]
    name: KeyName,
    /// Bytes of a signature; r and s as they are for P-256.
    signature: u16,
}

impl Report {
    fn new(private: Option<&Path>, public: Option<&Path>, key: &PublicKey) -> Self {
        let path = |path: &Path| path.display().to_string();
        Self {
            private: private.map(path),
            public: public.map(path),
            name: KeyName::new(key.kind(), key.fingerprint()),
            signature: key.kind().signature_length(),
        }
    }
}

fn new(args: &NewArgs) -> Result<Report, Failure> {
    let public_path = args.public.clone().unwrap_or_else(|| args.output.with_extension("pub.pem"));
    if public_path == args.output {
        return Err(Failure::usage("the two halves of the key need two files"));
    }
    for path in [&args.output, &public_path] {
        files::check_free(path)?;
    }
    let key = SigningKey::generate(args.kind.kind(), &mut SysRng).map_err(Failure::no)?;
    let public = key.public().map_err(Failure::no)?;
    let halves = (key.to_pem().map_err(Failure::no)?, public.to_pem().map_err(Failure::no)?);
    files::write(&args.output, halves.0.as_bytes(), Access::Owner, Existing::Keep)?;
    files::write(&public_path, halves.1.as_bytes(), Access::Usual, Existing::Keep)?;
    Ok(Report::new(Some(&args.output), Some(&public_path), &public))
}

fn show(args: &ShowArgs) -> Result<Report, Failure> {
    let path = Some(args.file.as_path());
    match key_file::half(&args.file)? {
        Half::Private(key) => {
            let public = key.public().map_err(|error| key_file::wrong(&args.file, &error))?;
            Ok(Report::new(path, None, &public))
        }
        Half::Public(key) => Ok(Report::new(None, path, &key)),
    }
}

fn print(report: &Report, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    if json {
        return ui::json(report, out);
    }
    let signature = format!("{} bytes", report.signature);
    let lines = [
        ("private key", report.private.as_deref()),
        ("public key", report.public.as_deref()),
        ("type", Some(report.name.kind.as_str())),
        ("signature", Some(&signature)),
        ("fingerprint", Some(&report.name.fingerprint)),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            writeln!(out, "{name:<14}{value}")?;
        }
    }
    Ok(())
}

impl KindArg {
    fn kind(self) -> KeyKind {
        match self {
            Self::Rsa2048 => KeyKind::Rsa2048,
            Self::Rsa3072 => KeyKind::Rsa3072,
            Self::Rsa4096 => KeyKind::Rsa4096,
            Self::P256 => KeyKind::P256,
        }
    }
}
