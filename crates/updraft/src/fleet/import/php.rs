//! Reads the table of devices from the PHP script that the ESP8266 core documents:
//! `"18:FE:AA:AA:AA:AA" => "DOOR-7-g14f53a19"`. It runs no PHP, and reads no file.

/// A device of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its MAC as it stands there.
    pub(super) mac: String,
    /// The name of its firmware, without `.bin`.
    pub(super) firmware: String,
}

/// Every device of a script's tables, or what is wrong.
pub(super) fn table(text: &str) -> Result<Vec<Entry>, String> {
    let lines = text.lines().map(str::trim_start);
    let code = lines.filter(|line| !line.starts_with("//") && !line.starts_with('#'));
    let code = code.collect::<Vec<_>>().join(" ");
    let mut pieces = code.split("=>");
    let mut before = pieces.next().unwrap_or_default();
    let mut entries = Vec::new();
    for after in pieces {
        if let (Some(mac), Some(firmware)) = (last_text(before), first_text(after))
            && is_mac(mac)
        {
            entries.push(Entry { mac: mac.to_owned(), firmware: firmware.to_owned() });
        }
        before = after;
    }
    if entries.is_empty() { Err("it has no table of MACs".to_owned()) } else { Ok(entries) }
}

/// Splits `DOOR-7-g14f53a19` where its version starts: at the first hyphen before a digit.
pub(super) fn split(firmware: &str) -> Option<(&str, &str)> {
    firmware.match_indices('-').find_map(|(at, _)| {
        let (product, version) = (firmware.get(..at)?, firmware.get(at + 1..)?);
        let digits = version.strip_prefix('v').unwrap_or(version);
        (!product.is_empty() && digits.starts_with(|first: char| first.is_ascii_digit()))
            .then_some((product, version))
    })
}

fn first_text(code: &str) -> Option<&str> {
    let code = code.trim_start();
    let quote = code.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    code.get(1..)?.split_once(quote).map(|(text, _)| text)
}

fn last_text(code: &str) -> Option<&str> {
    let code = code.trim_end();
    let quote = code.chars().next_back().filter(|quote| matches!(quote, '"' | '\''))?;
    code.strip_suffix(quote)?.rsplit_once(quote).map(|(_, text)| text)
}

fn is_mac(text: &str) -> bool {
    text.len() == 17 && text.split(':').filter(|part| part.len() == 2).count() == 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read() {
        let script = "<?PHP\n$db = array(\n  \"18:FE:AA:AA:AA:AA\" => \"DOOR-7-g14f53a19\",\n\
            // \"18:FE:AA:AA:AA:CC\" => \"OLD-1\",\n  '18:FE:AA:AA:AA:BB' => 'TEMP-1.0.0'\n);";
        let entries = table(script).unwrap();
        let pairs: Vec<_> = entries.iter().map(|e| (&*e.mac, &*e.firmware)).collect();
        assert_eq!(
            pairs,
            [("18:FE:AA:AA:AA:AA", "DOOR-7-g14f53a19"), ("18:FE:AA:AA:AA:BB", "TEMP-1.0.0")]
        );
        assert!(table("<?php $x = array('a' => 'b');").is_err());
    }

    #[test]
    fn a_name_is_split_before_its_version() {
        assert_eq!(split("DOOR-7-g14f53a19"), Some(("DOOR", "7-g14f53a19")));
        assert_eq!(split("front-door-v1.2"), Some(("front-door", "v1.2")));
        assert_eq!((split("door"), split("-1")), (None, None));
    }
}
