//! Enumerations whose variants have one word each, the same in headers, on the command line and in Python.

/// A word that names no variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} `{word}`: give {}", self.choice())]
pub struct UnknownWord {
    /// The kind of thing that it should name.
    pub what: &'static str,
    /// The word.
    pub word: String,
    /// The words that there are.
    pub known: Vec<&'static str>,
}

impl UnknownWord {
    /// Returns the variant of the word `text` among `all`.
    pub(crate) fn find<T: Copy>(
        what: &'static str,
        text: &str,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> Result<T, Self> {
        let unknown = || Self { what, word: text.into(), known: all.iter().map(|&variant| word(variant)).collect() };
        all.iter().copied().find(|&variant| word(variant) == text).ok_or_else(unknown)
    }

    /// Returns the known words as a choice: "a, b or c".
    pub fn choice(&self) -> String {
        match &self.known[..] {
            [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
            words => words.concat(),
        }
    }
}

/// Gives an enumeration its words: `ALL`, `word`, `Display` and `FromStr`.
macro_rules! word_enum {
    ($type:ident, $what:literal, $($variant:ident = $word:literal),+ $(,)?) => {
        impl $type {
            /// All variants in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the word of the variant.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::base::word_enum::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::Err::find($what, text, Self::ALL, Self::word)
            }
        }
    };
}
pub(crate) use word_enum;

#[cfg(test)]
mod tests {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Arm {
        Blue,
        Red,
        Infrared,
    }
    word_enum!(Arm, "arm", Blue = "b", Red = "r", Infrared = "z");

    #[test]
    fn every_word_names_its_variant_and_an_unknown_one_lists_them_all() {
        for arm in Arm::ALL {
            assert_eq!(arm.to_string().parse(), Ok(*arm));
        }
        assert_eq!("R".parse::<Arm>().unwrap_err().to_string(), "there is no arm `R`: give b, r or z");
    }
}
