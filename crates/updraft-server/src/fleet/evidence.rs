//! What a sketch may say of itself in the query of its URL: `?e=-104&r=4&rssi=-71&up=60&hold=1`.
//! Numbers only, untrusted, and nothing depends on their being there.

use std::time::Duration;

/// What a device said beyond its header fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// `e`: the last error of its updater; 0 is none.
    pub last_error: Option<i32>,
    /// `r`: why it restarted, in the codes of its SDK.
    pub reset_reason: Option<u32>,
    /// `rssi`: dBm.
    pub rssi: Option<i32>,
    /// `up`: how long it has been running, given in seconds.
    pub up: Option<Duration>,
    /// `hold=1`: whether it wants nothing now.
    pub wants: Wants,
}

/// What a device wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wants {
    /// An update, if there is one.
    #[default]
    Update,
    /// Nothing now: it has other things to do.
    Nothing,
}

impl Evidence {
    /// Reads it by a look-up of query values. What is no number is as if it was not there.
    pub(crate) fn read(query: impl Fn(&str) -> Option<Vec<u8>>) -> Self {
        let text = |name| query(name).and_then(|value| String::from_utf8(value).ok());
        let number = |name| text(name).and_then(|text| text.parse().ok());
        Self {
            last_error: number("e"),
            reset_reason: text("r").and_then(|text| text.parse().ok()),
            rssi: number("rssi"),
            up: text("up").and_then(|text| text.parse().ok()).map(Duration::from_secs),
            wants: if text("hold").as_deref() == Some("1") {
                Wants::Nothing
            } else {
                Wants::Update
            },
        }
    }

    /// Whether its updater says that it failed.
    pub(crate) fn error(&self) -> Option<i32> {
        self.last_error.filter(|&error| error != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Target;

    #[test]
    fn numbers_are_read_and_all_else_is_not_there() {
        let read = |target| Evidence::read(|name| Target::new(target).query(name));
        let said = Evidence {
            last_error: Some(-104),
            reset_reason: Some(4),
            rssi: Some(-71),
            up: Some(Duration::from_mins(1)),
            wants: Wants::Nothing,
        };
        assert_eq!(read("/update/door?e=-104&r=4&rssi=-71&up=60&hold=1"), said);
        assert_eq!(read("/update/door"), Evidence::default());
        assert_eq!(read("/update/door?e=x&r=-1&rssi=&up=1e9&hold=yes"), Evidence::default());
    }
}
