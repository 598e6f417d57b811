//! Colours of a shop, and which text can be read on them.

use std::{fmt, str::FromStr};

/// An opaque sRGB colour, written `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Color {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
}

/// Why a text is no colour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no colour: write # and six hexadecimal digits, such as #7a1f3d")]
pub struct InvalidColor(pub String);

/// Contrast that text of any size needs (WCAG 2.2, success criterion 1.4.3).
const CONTRAST_MIN: f64 = 4.5;
/// In how many steps a colour goes to black or white until it can be read.
const STEPS: u16 = 32;

impl Color {
    pub const BLACK: Self = Self::new(0, 0, 0);
    pub const WHITE: Self = Self::new(255, 255, 255);

    pub const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue }
    }

    /// Relative luminance, 0 to 1 (WCAG 2.2, definition "relative luminance").
    pub fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }

    /// Contrast ratio, 1 to 21 (WCAG 2.2, definition "contrast ratio").
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// Black or white, whichever is read better on this colour. One of them always has a contrast of
    /// at least 4.5.
    #[must_use]
    pub fn text(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::BLACK) {
            Self::WHITE
        } else {
            Self::BLACK
        }
    }

    /// This colour, as far darkened or lightened as it must be to be read as text on `background`.
    #[must_use]
    pub fn readable_on(self, background: Self) -> Self {
        let end = background.text();
        let shades = (0..=STEPS).map(|step| self.mixed(end, step));
        shades.into_iter().find(|shade| shade.contrast(background) >= CONTRAST_MIN).unwrap_or(end)
    }

    /// `step` of [`STEPS`] on the way to another colour.
    fn mixed(self, other: Self, step: u16) -> Self {
        let channel = |from: u8, to: u8| {
            let sum = u16::from(from) * (STEPS - step) + u16::from(to) * step;
            u8::try_from(sum / STEPS).unwrap_or(to)
        };
        Self::new(
            channel(self.red, other.red),
            channel(self.green, other.green),
            channel(self.blue, other.blue),
        )
    }
}

impl FromStr for Color {
    type Err = InvalidColor;

    fn from_str(text: &str) -> Result<Self, InvalidColor> {
        let digits = text.strip_prefix('#').filter(|digits| {
            digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let [_, red, green, blue] =
            value.ok_or_else(|| InvalidColor(text.to_owned()))?.to_be_bytes();
        Ok(Self { red, green, blue })
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn color(text: &str) -> Color {
        text.parse().unwrap()
    }

    #[test]
    fn contrast_is_the_standards() {
        let ratio = |one: &str, two: &str| format!("{:.2}", color(one).contrast(color(two)));
        assert_eq!(ratio("#000000", "#ffffff"), "21.00");
        assert_eq!(ratio("#777777", "#ffffff"), "4.48");
        assert_eq!(ratio("#0000ff", "#ffffff"), "8.59");
        assert_eq!(ratio("#ff0000", "#ff0000"), "1.00");
    }

    #[test]
    fn text_on_a_brands_colour_can_be_read() {
        for (brand, text) in [
            ("#7a1f3d", "#ffffff"),
            ("#ffcc00", "#000000"),
            ("#ffffff", "#000000"),
            ("#635bff", "#ffffff"),
        ] {
            assert_eq!(color(brand).text().to_string(), text, "{brand}");
        }
        let link = |brand: &str, page: &str| color(brand).readable_on(color(page)).to_string();
        assert_eq!(link("#7a1f3d", "#ffffff"), "#7a1f3d");
        assert_eq!(link("#ffcc00", "#ffffff"), "#8f7200");
        assert_eq!(link("#7a1f3d", "#14141c"), "#ab7385");
    }

    #[test]
    fn a_colour_is_six_digits() {
        assert_eq!(color("#FF9f1C").to_string(), "#ff9f1c");
        for bad in ["", "#fff", "ff9f1c", "#ff9f1g", "#+f9f1c", "#ff9f1c00", "red", "#ff9f1\u{e9}"]
        {
            assert_eq!(bad.parse::<Color>(), Err(InvalidColor(bad.into())));
        }
    }

    proptest! {
        #[test]
        fn every_pair_of_colours_can_be_read(one: [u8; 3], two: [u8; 3]) {
            let of = |[red, green, blue]: [u8; 3]| Color { red, green, blue };
            let (one, two) = (of(one), of(two));
            prop_assert!(one.contrast(one.text()) >= CONTRAST_MIN);
            prop_assert!(one.readable_on(two).contrast(two) >= CONTRAST_MIN);
            prop_assert_eq!(one.to_string().parse(), Ok(one));
        }
    }
}
