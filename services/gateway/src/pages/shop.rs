//! What every page shows of the shop.

use storefront_contract::Color;

use super::theme::Theme;

/// The shop, as templates name it.
#[derive(Clone, Copy, Debug)]
pub struct Shop<'a> {
    pub name: &'a str,
    pub logo: Option<&'a str>,
    pub color: Color,
}

impl<'a> From<&'a Theme> for Shop<'a> {
    fn from(theme: &'a Theme) -> Self {
        Self { name: &theme.name, logo: theme.logo.as_deref(), color: theme.primary }
    }
}

#[cfg(test)]
impl Shop<'static> {
    pub fn for_tests() -> Self {
        Self { name: "Demo & Co", logo: None, color: Color::new(0x7a, 0x1f, 0x3d) }
    }
}
