//! What the shop's branding makes of the pages: colours that can be read, its name, its sign. Pure.

use std::fmt::Write as _;

use storefront_contract::{Color, settings::Branding};

/// Behind everything, and behind what stands on it: by day, then by night.
const DAY: (Color, Color) = (Color::new(0xf3, 0xf2, 0xf0), Color::WHITE);
const NIGHT: (Color, Color) = (Color::new(0x13, 0x13, 0x17), Color::new(0x1e, 0x1e, 0x24));

/// A shop's looks.
#[derive(Debug)]
pub struct Theme {
    pub name: String,
    pub logo: Option<String>,
    pub primary: Color,
    pub accent: Color,
}

impl Theme {
    pub fn new(branding: &Branding) -> Self {
        let Branding { shop_name, logo, primary_color, accent_color } = branding.clone();
        Self { name: shop_name, logo, primary: primary_color, accent: accent_color }
    }

    /// The colours as variables for the style sheet that all shops share.
    pub fn style_sheet(&self) -> String {
        // A link is read on cards and on the page: by day the page is the darker one, by night cards
        // are the lighter ones.
        let (day, night) = (DAY.0, NIGHT.1);
        let mut css = String::from(":root{");
        let fixed = [
            ("primary", self.primary),
            ("on-primary", self.primary.text()),
            ("accent", self.accent),
            ("on-accent", self.accent.text()),
        ];
        let scheme = |pages: (Color, Color), behind: Color| {
            [("page", pages.0), ("card", pages.1), ("link", self.primary.readable_on(behind))]
        };
        for (name, color) in fixed.into_iter().chain(scheme(DAY, day)) {
            write!(css, "--{name}:{color};").ok();
        }
        css.push_str("}@media(prefers-color-scheme:dark){:root{");
        for (name, color) in scheme(NIGHT, night) {
            write!(css, "--{name}:{color};").ok();
        }
        css.push_str("}}\n");
        css
    }

    /// The shop's sign in a browser's tab: a bag in its colours.
    pub fn icon(&self) -> String {
        let (primary, line) = (self.primary, self.primary.text());
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\">\
             <rect width=\"32\" height=\"32\" rx=\"8\" fill=\"{primary}\"/>\
             <g fill=\"none\" stroke=\"{line}\" stroke-width=\"2.2\" stroke-linejoin=\"round\">\
             <path d=\"M8.5 12.5h15l1.2 11.5h-17.4z\"/><path d=\"M12 15v-3.5a4 4 0 0 1 8 0V15\"/>\
             </g></svg>"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_sheet_has_the_shops_colours_and_what_is_read_on_them() {
        let color = |text: &str| text.parse().unwrap();
        let theme = |primary, accent| Theme {
            name: "Demo".into(),
            logo: None,
            primary: color(primary),
            accent: color(accent),
        };
        insta::assert_snapshot!(
            [theme("#7a1f3d", "#f2a43a"), theme("#fff200", "#111111")]
                .map(|theme| theme.style_sheet())
                .concat(),
            @r"
        :root{--primary:#7a1f3d;--on-primary:#ffffff;--accent:#f2a43a;--on-accent:#000000;--page:#f3f2f0;--card:#ffffff;--link:#7a1f3d;}@media(prefers-color-scheme:dark){:root{--page:#131317;--card:#1e1e24;--link:#b07a8b;}}
        :root{--primary:#fff200;--on-primary:#000000;--accent:#111111;--on-accent:#ffffff;--page:#f3f2f0;--card:#ffffff;--link:#777100;}@media(prefers-color-scheme:dark){:root{--page:#131317;--card:#1e1e24;--link:#fff200;}}
        "
        );
    }
}
