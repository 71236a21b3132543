//! A partition table as text: the CSV that ESP-IDF's `gen_esp32part.py` reads. Core checks what comes
//! out of it.

use updraft_core::{Partition, PartitionKind, PartitionTable, Text};

/// Where the first partition may start: behind the table and its sector.
const START: u64 = PartitionTable::OFFSET as u64 + 0x1000;

/// Reads the text; the error names the line.
pub(super) fn parse(text: &str) -> Result<PartitionTable, String> {
    let mut table = PartitionTable::default();
    let mut end = START;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let in_line = |problem: String| format!("line {number}: {problem}");
        let partition = partition(line, end).map_err(in_line)?;
        table.push(partition).map_err(|fault| in_line(fault.to_string()))?;
        end = partition.end();
    }
    if table.is_empty() { Err("no partition is in it".to_owned()) } else { Ok(table) }
}

/// Name, type, subtype, offset, size and flags; a partition without an offset stands behind `end`.
fn partition(line: &str, end: u64) -> Result<Partition, String> {
    let mut fields = line.split(',').map(str::trim);
    let mut next = || fields.next().unwrap_or_default();
    let [label, kind, subtype, offset, size, flags] = std::array::from_fn(|_| next());
    let kind = kind_of(kind, subtype)?;
    let offset = if offset.is_empty() {
        let next = end.next_multiple_of(kind.alignment().into());
        u32::try_from(next).map_err(|_| "it would start behind 4 GiB".to_owned())?
    } else {
        number(offset)?
    };
    Ok(Partition {
        kind,
        label: Text::new(label).ok_or_else(|| format!("the name {label} is too long"))?,
        offset,
        size: number(size)?,
        flags: flags_of(flags)?,
    })
}

/// Type and subtype, each as a word or a number.
fn kind_of(kind: &str, subtype: &str) -> Result<PartitionKind, String> {
    let code = match kind {
        "app" => 0,
        "data" => 1,
        "bootloader" => 2,
        "partition_table" => 3,
        other => byte(other).map_err(|_| format!("unknown type {other}"))?,
    };
    if let Ok(subtype) = byte(subtype) {
        return Ok(PartitionKind::from_codes(code, subtype));
    }
    let words = format!("{kind} {subtype}");
    (0..=u8::MAX)
        .map(|subtype| PartitionKind::from_codes(code, subtype))
        .find(|kind| kind.to_string() == words)
        .ok_or_else(|| format!("unknown subtype {subtype} of {kind}"))
}

/// `encrypted` and `readonly`, a colon between.
fn flags_of(text: &str) -> Result<u32, String> {
    text.split(':').filter(|flag| !flag.is_empty()).try_fold(0, |flags, flag| match flag {
        "encrypted" => Ok(flags | 1),
        "readonly" => Ok(flags | 2),
        other => Err(format!("unknown flag {other}")),
    })
}

fn byte(text: &str) -> Result<u8, String> {
    u8::try_from(number(text)?).map_err(|_| format!("{text} is more than a byte"))
}

/// `4096`, `0x1000`, `4K`, `1M`.
fn number(text: &str) -> Result<u32, String> {
    let (digits, shift) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 10),
        None => text.strip_suffix(['M', 'm']).map_or((text, 0), |digits| (digits, 20)),
    };
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    let number = value.ok().and_then(|value| value.checked_mul(1 << shift));
    number.ok_or_else(|| format!("no number: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn arduinos_default_table_is_read() {
        let text = "# Name,   Type, SubType, Offset,  Size, Flags\n\
            nvs,      data, nvs,     0x9000,  0x5000,\n\
            otadata,  data, ota,     0xe000,  0x2000,\n\
            app0,     app,  ota_0,   0x10000, 0x140000,\n\n\
            app1,     app,  ota_1,   0x150000,0x140000, # the other\n\
            spiffs,   data, spiffs,  0x290000,0x160000,\r\n\
            coredump, data, coredump,0x3F0000,0x10000";
        assert_eq!(parse(text).ok(), PartitionTable::standard("default"));
    }

    #[test]
    fn offsets_that_are_left_out_follow_each_other() {
        let text = "nvs,data,nvs,,24K\nphy,data,phy,,0x1000,encrypted:readonly\n\
            app,app,factory,,1M\nmine,0x40,7,,4096";
        let table = parse(text).unwrap();
        let places: Vec<_> = table.iter().map(|partition| partition.offset).collect();
        assert_eq!(places, [0x9000, 0xF000, 0x1_0000, 0x11_0000]);
        assert_eq!(table[1].flags, 3);
        assert_eq!(table[3].kind, PartitionKind::Other { kind: 0x40, subtype: 7 });
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert_eq!(fault("# nothing\n"), "no partition is in it");
        assert_eq!(fault("a,app,ota_99,,1M"), "line 1: unknown subtype ota_99 of app");
        assert_eq!(fault("\na,program,x,,1M"), "line 2: unknown type program");
        assert_eq!(fault("a,data,nvs,,many"), "line 1: no number: many");
        assert_eq!(fault("a,data,nvs,,4096M"), "line 1: no number: 4096M");
        assert_eq!(fault("a,data,nvs,,4K,hidden"), "line 1: unknown flag hidden");
        assert_eq!(fault("a,data,nvs"), "line 1: no number: ");
        assert_eq!(
            fault("a,app,factory,0x8000,1M"),
            "line 1: partition a starts at 0x8000, which is no multiple of 0x10000"
        );
        assert_eq!(
            fault("a,data,nvs,,8K\nb,data,nvs,0xA000,4K"),
            "line 2: partitions a and b overlap"
        );
    }
}
