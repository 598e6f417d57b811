//! How a shop looks: settings that the pages and the mails share.

use super::{Common, Reader, Variables, put};
use crate::{color::Color, product::is_picture};

/// Longest name of a shop, in characters.
pub const SHOP_NAME_MAX_CHARS: usize = 80;

/// How a shop looks to its shoppers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branding {
    /// `SHOP_NAME`: what shoppers call the shop. Default: the name in `SHOP`.
    pub shop_name: String,
    /// `SHOP_LOGO`: a path on the shop's own host, or an `https://` URL. Default none.
    pub logo: Option<String>,
    /// `SHOP_PRIMARY_COLOR`: of the page's head, of links and outlines, `#rrggbb`.
    pub primary_color: Color,
    /// `SHOP_ACCENT_COLOR`: of the button that leads to the payment, `#rrggbb`.
    pub accent_color: Color,
}

impl Branding {
    pub const DEFAULT_PRIMARY_COLOR: Color = Color::new(0x1f, 0x3a, 0x8a);
    pub const DEFAULT_ACCENT_COLOR: Color = Color::new(0xff, 0x9f, 0x1c);

    /// `common` is `None` when it is wrong itself, which is reported there.
    pub(super) fn read(reader: &mut Reader<'_>, common: Option<&Common>) -> Option<Self> {
        let shop_name = reader.raw("SHOP_NAME").map(|name| name.trim().to_owned());
        if let Some(name) = &shop_name
            && !is_shop_name(name)
        {
            let problem =
                format!("must be 1 to {SHOP_NAME_MAX_CHARS} characters without control characters");
            reader.problem("SHOP_NAME", problem);
        }
        let logo = reader.raw("SHOP_LOGO").map(|logo| logo.trim().to_owned());
        if logo.as_deref().is_some_and(|logo| !is_picture(logo)) {
            reader.problem("SHOP_LOGO", "must be a path such as /img/logo.svg, or an https:// URL");
        }
        let primary_color = reader.or("SHOP_PRIMARY_COLOR", Self::DEFAULT_PRIMARY_COLOR);
        let accent_color = reader.or("SHOP_ACCENT_COLOR", Self::DEFAULT_ACCENT_COLOR);
        Some(Self {
            shop_name: shop_name.or_else(|| Some(common?.shop.name().to_owned()))?,
            logo,
            primary_color: primary_color?,
            accent_color: accent_color?,
        })
    }

    pub(super) fn write(&self, variables: &mut Variables) {
        let Self { shop_name, logo, primary_color, accent_color } = self;
        put(variables, "SHOP_NAME", shop_name);
        if let Some(logo) = logo {
            put(variables, "SHOP_LOGO", logo);
        }
        put(variables, "SHOP_PRIMARY_COLOR", primary_color);
        put(variables, "SHOP_ACCENT_COLOR", accent_color);
    }
}

/// Whether shoppers can read a text as the name of a shop: one line that is not blank.
pub fn is_shop_name(name: &str) -> bool {
    let length = name.chars().count();
    (1..=SHOP_NAME_MAX_CHARS).contains(&length)
        && !name.trim().is_empty()
        && !name.chars().any(char::is_control)
}
