//! Reads a comma-separated table of devices (RFC 4180, one line a device). Whether the values make
//! sense is the server's to say.

use updraft_server::api::wire::ImportRow;

/// The devices of a table, or what is wrong with it and where.
pub(super) fn devices(text: &str) -> Result<Vec<ImportRow>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let (_, heads) = lines.next().ok_or("it is empty")?;
    let heads: Vec<_> = cells(heads)?.iter().map(|head| head.trim().to_ascii_lowercase()).collect();
    if !heads.iter().any(|head| head == "mac") {
        return Err("its first line names no column mac".to_owned());
    }
    lines
        .map(|(number, line)| row(&heads, line).map_err(|what| format!("line {number}: {what}")))
        .collect()
}

fn row(heads: &[String], line: &str) -> Result<ImportRow, String> {
    let cells = cells(line)?;
    if cells.len() > heads.len() {
        return Err(format!("{} cells for {} columns", cells.len(), heads.len()));
    }
    let mut row = ImportRow::default();
    for (head, cell) in heads.iter().zip(cells) {
        let cell = cell.trim();
        if cell.is_empty() {
            continue;
        }
        let value = Some(cell.to_owned());
        match head.as_str() {
            "mac" => cell.clone_into(&mut row.mac),
            "family" => row.family = value,
            "chip" => row.chip = value,
            "name" => row.name = value,
            "notes" => row.notes = value,
            "product" => row.product = value,
            "channel" => row.channel = value,
            "tags" => row.tags = cell.split_whitespace().map(str::to_owned).collect(),
            other => return Err(format!("no column can be called {other}")),
        }
    }
    if row.mac.is_empty() { Err("no MAC".to_owned()) } else { Ok(row) }
}

/// The cells of a line; one in quotes may hold commas, and quotes written twice.
fn cells(line: &str) -> Result<Vec<String>, String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        let Some(cell) = cells.last_mut() else { break };
        match char {
            '"' if is_quoted && chars.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            char => cell.push(char),
        }
    }
    if is_quoted { Err("a quote has no end".to_owned()) } else { Ok(cells) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_names_its_columns() {
        let text = "\u{feff}MAC, name,tags\nAA:BB:CC:DD:EE:01,\"front, \"\"old\"\"\",a b\n\n\
            AA:BB:CC:DD:EE:02\n";
        let rows = devices(text).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].name.as_deref(), Some("front, \"old\""));
        assert_eq!(rows[0].tags, ["a", "b"]);
        assert_eq!((rows[1].mac.as_str(), &rows[1].name), ("AA:BB:CC:DD:EE:02", &None));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, words) in [
            ("", "empty"),
            ("name\nx", "no column mac"),
            ("mac,name\n,x", "line 2: no MAC"),
            ("mac\na,b", "line 2: 2 cells for 1 columns"),
            ("mac,colour\na,red", "line 2: no column can be called colour"),
            ("mac\n\n\"a", "line 3: a quote has no end"),
        ] {
            let problem = devices(text).unwrap_err();
            assert!(problem.contains(words), "{text:?}: {problem}");
        }
    }
}
