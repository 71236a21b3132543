//! Enums whose values have one stable name each: in the database, in JSON, on the command line. The
//! names are kept for good; what they mean in words is said elsewhere.

/// A text that names none of the values it could.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: {known}")]
pub(crate) struct UnknownName {
    /// What was expected.
    pub(crate) what: &'static str,
    /// What was given.
    pub(crate) text: String,
    /// All that would do.
    pub(crate) known: String,
}

/// Declares an enum together with its names: `Display` writes them, `FromStr` reads them, serde does
/// both, `ALL` lists the values.
macro_rules! named {
    (
        $(#[$doc:meta])*
        pub(crate) enum $type:ident: $what:literal {
            $( $(#[$value_doc:meta])* $value:ident = $name:literal, )+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum $type {
            $( $(#[$value_doc])* $value, )+
        }

        impl $type {
            /// Every value, in the order of their declaration.
            pub(crate) const ALL: &[Self] = &[$(Self::$value),+];

            /// Its stable name.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $( Self::$value => $name, )+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = crate::fleet::named::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.iter().copied().find(|value| value.name() == text);
                found.ok_or_else(|| crate::fleet::named::UnknownName {
                    what: $what,
                    text: text.to_owned(),
                    known: [$($name),+].join(", "),
                })
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use named;

#[cfg(test)]
mod tests {
    named! {
        /// Fruit.
        pub(crate) enum Fruit: "fruit" {
            /// Red.
            Apple = "apple",
            /// Yellow.
            Pear = "pear",
        }
    }

    #[test]
    fn a_value_is_written_and_read_by_its_name() {
        for fruit in Fruit::ALL {
            assert_eq!(fruit.name().parse(), Ok(*fruit));
            let json = serde_json::to_string(fruit).unwrap();
            assert_eq!(json, format!("\"{fruit}\""));
            assert_eq!(serde_json::from_str::<Fruit>(&json).unwrap(), *fruit);
        }
    }

    #[test]
    fn what_names_nothing_is_told_what_would_do() {
        let error = "plum".parse::<Fruit>().unwrap_err();
        assert_eq!(error.to_string(), "\"plum\" is no fruit: apple, pear");
    }
}
