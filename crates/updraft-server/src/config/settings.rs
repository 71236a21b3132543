//! The three sources of settings and how they become one [`Config`].

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::config::{
    CatalogConfig, Config, ConfigError, DeliveryConfig, FleetConfig, LimitsConfig, LogConfig,
    LogFormat, LogLevel, check_catalog, resolve,
};
use crate::decide::{Gate, Policy, Same};

/// The environment, handed in: the server never looks into its own.
pub trait Env {
    /// The value of a variable, if it is set to text.
    fn var(&self, name: &str) -> Option<String>;
}

/// What the command line says; what it leaves open comes from the other sources.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--port`, as often as given.
    pub ports: Vec<u16>,
    /// `--bind`.
    pub bind: Option<String>,
    /// `--catalog`.
    pub catalog: Option<PathBuf>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--log`.
    pub log: Option<LogLevel>,
    /// `--log-format`.
    pub log_format: Option<LogFormat>,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--cache-size`.
    pub cache_size: Option<crate::config::ByteSize>,
    /// `--resend`.
    pub resend: bool,
    /// `--no-gate`.
    pub no_gate: bool,
}

/// The whole of `updraft.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    port: Vec<u16>,
    bind: String,
    data: PathBuf,
    log: String,
    log_format: String,
    catalog: CatalogConfig,
    delivery: DeliveryConfig,
    fleet: FleetConfig,
    limits: LimitsConfig,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: vec![8000],
            bind: "0.0.0.0".into(),
            data: "./updraft-data".into(),
            log: "info".into(),
            log_format: "auto".into(),
            catalog: CatalogConfig::default(),
            delivery: DeliveryConfig::default(),
            fleet: FleetConfig::default(),
            limits: LimitsConfig::default(),
        }
    }
}

/// The configuration file that is read if it is there and no other is named.
const DEFAULT_FILE: &str = "updraft.toml";

impl Config {
    /// Puts the sources together and checks every value: the command line before the environment
    /// before the file before the defaults.
    pub fn load(overrides: Overrides, env: &dyn Env) -> Result<Self, ConfigError> {
        let mut table = read_file(overrides.config.as_deref(), env)?;
        overlay_env(&mut table, env)?;
        let settings: Settings =
            table.try_into().map_err(|error: toml::de::Error| ConfigError::Parse {
                origin: "configuration".into(),
                message: error.message().to_owned(),
            })?;
        settings.with(overrides)
    }
}

impl Settings {
    fn with(mut self, overrides: Overrides) -> Result<Config, ConfigError> {
        let Overrides {
            ports, bind, catalog, data, log, log_format, config: _, cache_size, ..
        } = overrides;
        if !ports.is_empty() {
            self.port = ports;
        }
        if self.port.is_empty() {
            return Err(ConfigError::value("port", "give at least one"));
        }
        if let Some(path) = catalog {
            self.catalog.path = path;
        }
        if let Some(size) = cache_size {
            self.delivery.cache_size = size;
        }
        self.catalog.resend |= overrides.resend;
        self.catalog.gate &= !overrides.no_gate;
        if let Some(bad) =
            self.catalog.extensions.iter().find(|e| !e.starts_with('.') || e.len() < 2)
        {
            return Err(ConfigError::value(
                "catalog.extensions",
                format!("{bad:?} is no ending: write it like \".bin\""),
            ));
        }
        for (setting, count) in [
            ("limits.connections_per_address", self.limits.connections_per_address),
            ("limits.downloads_per_device", self.limits.downloads_per_device),
        ] {
            if count == 0 {
                return Err(ConfigError::value(setting, "nobody could be served; give at least 1"));
            }
        }
        self.fleet.policy()?;
        check_catalog(&self.catalog.path)?;
        let level = match log {
            Some(level) => level,
            None => {
                self.log.parse().map_err(|message: String| ConfigError::value("log", message))?
            }
        };
        let format = match log_format {
            Some(format) => format,
            None => self
                .log_format
                .parse()
                .map_err(|message: String| ConfigError::value("log_format", message))?,
        };
        Ok(Config {
            listen: resolve(bind.as_deref().unwrap_or(&self.bind), &self.port)?,
            data: data.unwrap_or(self.data),
            policy: Policy {
                gate: if self.catalog.gate { Gate::Closed } else { Gate::Open },
                same: if self.catalog.resend { Same::Resend } else { Same::NotModified },
            },
            catalog: self.catalog,
            delivery: self.delivery,
            fleet: self.fleet,
            limits: self.limits,
            log: LogConfig { level, format },
        })
    }
}

/// Reads the file that was named, or the default one if it is there.
fn read_file(named: Option<&Path>, env: &dyn Env) -> Result<Table, ConfigError> {
    let from_env = env.var("UPDRAFT_CONFIG").map(PathBuf::from);
    let named = named.map(Path::to_owned).or(from_env);
    let path = named.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    match std::fs::read_to_string(&path) {
        // Read as a whole first: only here an error still knows the line it is in.
        Ok(text) => toml::from_str::<Settings>(&text).and_then(|_| text.parse()).map_err(|error| {
            ConfigError::Parse {
                origin: place(&path, &text, &error),
                message: error.message().to_owned(),
            }
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            Ok(Table::new())
        }
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}

/// Lays every `UPDRAFT_*` variable over the file's setting of the same name: `UPDRAFT_CATALOG_PATH`
/// over `path` in `[catalog]`.
fn overlay_env(table: &mut Table, env: &dyn Env) -> Result<(), ConfigError> {
    let known = Table::try_from(Settings::default())
        .map_err(|error| ConfigError::value("defaults", error.to_string()))?;
    for (section, value) in &known {
        match value {
            Value::Table(settings) => {
                for (key, default) in settings {
                    let name = format!("UPDRAFT_{section}_{key}").to_uppercase();
                    if let Some(text) = env.var(&name) {
                        let value = like(default, &text, &name)?;
                        let section = table
                            .entry(section.clone())
                            .or_insert_with(|| Value::Table(Table::new()));
                        if let Value::Table(section) = section {
                            section.insert(key.clone(), value);
                        }
                    }
                }
            }
            default => {
                let name = format!("UPDRAFT_{section}").to_uppercase();
                if let Some(text) = env.var(&name) {
                    table.insert(section.clone(), like(default, &text, &name)?);
                }
            }
        }
    }
    Ok(())
}

/// Reads a variable as the type its setting has; lists are separated by commas.
fn like(default: &Value, text: &str, name: &str) -> Result<Value, ConfigError> {
    let problem = |what: &str| ConfigError::Parse {
        origin: name.to_owned(),
        message: format!("{text:?} is no {what}"),
    };
    Ok(match default {
        Value::Boolean(_) => Value::Boolean(match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => true,
            "0" | "false" | "no" | "off" | "" => false,
            _ => return Err(problem("switch: write true or false")),
        }),
        Value::Integer(_) => Value::Integer(text.trim().parse().map_err(|_| problem("number"))?),
        Value::Array(items) => Value::Array(
            text.split(',')
                .map(|item| match items.first() {
                    Some(Value::Integer(_)) => {
                        item.trim().parse().map(Value::Integer).map_err(|_| problem("number"))
                    }
                    _ => Ok(Value::String(item.trim().to_owned())),
                })
                .collect::<Result<_, _>>()?,
        ),
        _ => Value::String(text.to_owned()),
    })
}

/// The file and line that a TOML error is in.
fn place(path: &Path, text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map(|before| before.matches('\n').count() + 1);
    match line {
        Some(line) => format!("{}, line {line}", path.display()),
        None => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::SocketAddr;

    use super::*;
    use crate::config::{ByteSize, Span};

    struct Variables(HashMap<&'static str, &'static str>);

    impl Env for Variables {
        fn var(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|value| (*value).to_owned())
        }
    }

    fn load(
        file: &str,
        env: &[(&'static str, &'static str)],
        overrides: Overrides,
    ) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("updraft.toml");
        std::fs::write(&config, file).unwrap();
        let catalog = overrides.catalog.clone().unwrap_or_else(|| dir.path().to_owned());
        let env = Variables(env.iter().copied().collect());
        let overrides = Overrides { config: Some(config), catalog: Some(catalog), ..overrides };
        Config::load(overrides, &env).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_goes_before_the_environment_before_the_file() {
        let file = "port = [1]\nlog = \"debug\"\n[limits]\nidle = \"5s\"\nhead = \"6s\"\n";
        let env = [
            ("UPDRAFT_PORT", "2, 3"),
            ("UPDRAFT_LIMITS_IDLE", "7s"),
            ("UPDRAFT_CATALOG_GATE", "no"),
        ];
        let config = load(file, &env, Overrides::default()).unwrap();
        assert_eq!(config.listen.iter().map(SocketAddr::port).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(config.limits.idle, Span::seconds(7));
        assert_eq!(config.limits.head, Span::seconds(6));
        assert_eq!(config.policy.gate, Gate::Open);
        assert_eq!(config.log.level, LogLevel::Debug);
        let config =
            load(file, &env, Overrides { ports: vec![4], ..Overrides::default() }).unwrap();
        assert_eq!(config.listen.iter().map(SocketAddr::port).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn the_example_file_says_the_defaults() {
        let example = include_str!("../../../../docs/updraft.example.toml");
        let settings: Settings = toml::from_str(example).unwrap();
        assert_eq!(settings, Settings::default());
        let known = Table::try_from(Settings::default()).unwrap();
        let written: Table = example.parse().unwrap();
        let keys = |table: &Table| {
            let mut keys: Vec<String> = Vec::new();
            for (key, value) in table {
                match value {
                    Value::Table(inner) => {
                        keys.extend(inner.keys().map(|inner| format!("{key}.{inner}")));
                    }
                    _ => keys.push(key.clone()),
                }
            }
            keys.sort();
            keys
        };
        assert_eq!(keys(&written), keys(&known), "every setting stands in the example");
    }

    #[test]
    fn bad_values_are_named() {
        let check = |file: &str, env: &[(&'static str, &'static str)], expect: &str| {
            let error = load(file, env, Overrides::default()).unwrap_err();
            assert!(error.contains(expect), "{error:?} does not say {expect:?}");
        };
        check("log = \"info\"\nprot = [1]", &[], "updraft.toml, line 2: unknown field `prot`");
        check("log = \"loud\"", &[], "critical, error, warning (or warn), info, debug");
        check("[limits]\nidle = \"soon\"", &[], "250ms, 30s");
        check("[delivery]\ncache_size = \"64MB\"", &[], "64MiB");
        check("port = []", &[], "port: give at least one");
        check("[limits]\ndownloads_per_device = 0", &[], "limits.downloads_per_device: ");
        check("port = [", &[], "updraft.toml");
        check("", &[("UPDRAFT_CATALOG_GATE", "maybe")], "UPDRAFT_CATALOG_GATE");
        check("[catalog]\nextensions = [\"bin\"]", &[], "\".bin\"");
        check("bind = \"not.a.host.invalid\"", &[], "bind: ");
    }

    #[test]
    fn a_missing_catalog_is_named() {
        let overrides =
            Overrides { catalog: Some("/nonexistent/fw".into()), ..Overrides::default() };
        assert!(load("", &[], overrides).unwrap_err().contains("/nonexistent/fw"));
    }

    #[test]
    fn sizes_and_names() {
        let config = load("[delivery]\ncache_size = 5", &[], Overrides::default()).unwrap();
        assert_eq!(config.delivery.cache_size, ByteSize(5));
        for (name, served) in [
            ("a.bin", true),
            ("a.BIN", true),
            ("a.bin.gz", true),
            (".bin", false),
            ("a.txt", false),
            (".a.bin", false),
        ] {
            assert_eq!(config.catalog.serves(name), served, "{name}");
        }
    }
}
