//! Which crate may depend on which, held against `cargo metadata`. ARCHITECTURE.md gives the reasons;
//! an arrow is added there first.

use std::collections::BTreeSet;

use serde_json::Value;

/// The crates that a crate may depend on when built; dev-dependencies are free, but for [`APART`].
const LAYERS: &[(&str, &[&str])] = &[
    (CORE, &[]),
    (PACK, &[CORE]),
    (AGENT, &[CORE]),
    (SIM, &[AGENT, CORE, PACK]),
    (PUSH, &[CORE]),
    (SERVER, &[CORE, PACK, PUSH]),
    ("updraft", &[CORE, PACK, AGENT, SIM, PUSH, SERVER]),
    (XTASK, &[CORE, PACK, AGENT, SIM, PUSH, SERVER, "updraft"]),
];

/// The server and the device's side meet on the wire only, so that a misreading of the one cannot
/// hide in the other: no dependency of any kind between them, by whatever way round.
const APART: (&str, &[&str]) = (SERVER, &[AGENT, SIM]);

/// Runs on chips: a `std` feature could be switched on from afar, as features unite.
const NO_STD: &[&str] = &[CORE, AGENT];

const CORE: &str = "updraft-core";
const PACK: &str = "updraft-pack";
const AGENT: &str = "updraft-agent";
const SIM: &str = "updraft-sim";
const PUSH: &str = "updraft-push";
const SERVER: &str = "updraft-server";
const XTASK: &str = "xtask";

/// The broken rules, a line each.
pub(super) fn check(metadata: &Value) -> Vec<String> {
    let crates = Crate::all(metadata);
    crates.iter().flat_map(arrows).chain(sides(&crates)).chain(features(&crates)).collect()
}

fn arrows(from: &Crate<'_>) -> Vec<String> {
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == from.name) else {
        return vec![format!("{}: has no place among the layers", from.name)];
    };
    let built = from.built.iter().filter(|to| !allowed.contains(to));
    let tested = from.tested.iter().filter(|to| **to == XTASK);
    built.chain(tested).map(|to| format!("{}: may not depend on {to}", from.name)).collect()
}

fn sides(crates: &[Crate<'_>]) -> Vec<String> {
    let (server, devices) = APART;
    let pairs = devices.iter().flat_map(|device| [(server, *device), (*device, server)]);
    let meeting = pairs.filter(|(from, to)| reach(crates, from).contains(to));
    meeting
        .map(|(from, to)| format!("{from}: meets {to} on the wire only, not even in tests"))
        .collect()
}

fn features(crates: &[Crate<'_>]) -> Vec<String> {
    let on_chips = crates.iter().filter(|one| NO_STD.contains(&one.name));
    let with_std = on_chips.filter(|one| one.features.contains(&"std"));
    with_std.map(|one| format!("{}: runs on chips, so it has no feature `std`", one.name)).collect()
}

/// All that is compiled, from the workspace, for the tests of this crate.
fn reach<'a>(crates: &[Crate<'a>], from: &str) -> BTreeSet<&'a str> {
    let find = |name: &str| crates.iter().find(|one| one.name == name);
    let mut open: Vec<&str> = find(from).map_or(Vec::new(), |one| one.tested.clone());
    open.extend(find(from).into_iter().flat_map(|one| &one.built));
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if seen.insert(name) {
            open.extend(find(name).into_iter().flat_map(|one| &one.built));
        }
    }
    seen
}

/// A crate of the workspace, and those of the workspace that it depends on.
struct Crate<'a> {
    name: &'a str,
    features: Vec<&'a str>,
    /// Its dependencies when built, build scripts' included.
    built: Vec<&'a str>,
    /// Its dependencies when tested, beyond those.
    tested: Vec<&'a str>,
}

impl<'a> Crate<'a> {
    fn all(metadata: &'a Value) -> Vec<Self> {
        let packages = || list(&metadata["packages"]);
        let names: Vec<&str> = packages().filter_map(|package| package["name"].as_str()).collect();
        packages().map(|package| Self::read(package, &names)).collect()
    }

    fn read(package: &'a Value, names: &[&str]) -> Self {
        let of_kind = |dev: bool| {
            list(&package["dependencies"])
                .filter(|dependency| (dependency["kind"] == "dev") == dev)
                .filter_map(|dependency| dependency["name"].as_str())
                .filter(|name| names.contains(name))
                .collect()
        };
        Self {
            name: package["name"].as_str().unwrap_or_default(),
            features: package["features"]
                .as_object()
                .into_iter()
                .flat_map(|features| features.keys().map(String::as_str))
                .collect(),
            built: of_kind(false),
            tested: of_kind(true),
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Checks a workspace of all crates with these dependencies: from, to, kind.
    fn check(arrows: &[(&str, &str, Option<&str>)]) -> Vec<String> {
        let packages = LAYERS.iter().map(|(name, _)| {
            let mine = arrows.iter().filter(|(from, ..)| from == name);
            let dependencies = mine.map(|(_, to, kind)| json!({ "name": to, "kind": kind }));
            json!({
                "name": name, "features": {}, "dependencies": dependencies.collect::<Vec<_>>()
            })
        });
        super::check(&json!({ "packages": packages.collect::<Vec<_>>() }))
    }

    #[test]
    fn an_arrow_of_the_layers_is_fine() {
        let all = LAYERS.iter().flat_map(|(from, to)| to.iter().map(|to| (*from, *to, None)));
        let but_for_wire: Vec<_> = all.collect();
        assert_eq!(check(&but_for_wire), Vec::<String>::new());
        assert_eq!(check(&[(CORE, PACK, Some("dev")), (CORE, "sha2", None)]), Vec::<String>::new());
    }

    #[test]
    fn another_arrow_is_not() {
        assert_eq!(check(&[(CORE, PACK, None)]), ["updraft-core: may not depend on updraft-pack"]);
        assert_eq!(
            check(&[(PACK, SERVER, Some("build"))]),
            ["updraft-pack: may not depend on updraft-server"]
        );
    }

    #[test]
    fn nothing_depends_on_the_chores() {
        for kind in [None, Some("dev")] {
            assert_eq!(
                check(&[("updraft", XTASK, kind)]),
                ["updraft: may not depend on xtask"],
                "{kind:?}"
            );
        }
    }

    #[test]
    fn server_and_devices_meet_on_the_wire_only() {
        assert_eq!(
            check(&[(SERVER, SIM, Some("dev"))]),
            ["updraft-server: meets updraft-sim on the wire only, not even in tests"]
        );
        assert_eq!(
            check(&[(SIM, "updraft", Some("dev")), ("updraft", SERVER, None)]),
            ["updraft-sim: meets updraft-server on the wire only, not even in tests"]
        );
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        let metadata = json!({ "packages": [{ "name": "updraft-new", "dependencies": [] }] });
        assert_eq!(super::check(&metadata), ["updraft-new: has no place among the layers"]);
    }

    #[test]
    fn what_runs_on_chips_has_no_std_feature() {
        for name in NO_STD {
            let metadata = json!({ "packages": [{ "name": name, "features": { "std": [] } }] });
            let problems = super::check(&metadata);
            assert_eq!(problems, [format!("{name}: runs on chips, so it has no feature `std`")]);
        }
    }
}
