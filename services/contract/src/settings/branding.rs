//! How a shop looks: settings that the pages and the mails share.

use super::{
    Field, Need, Reader, Variable, Variables,
    declare::{Optional, Or},
};
use crate::{color::Color, product::is_picture, section, shop::Shop};

/// Longest name of a shop, in characters.
pub const SHOP_NAME_MAX_CHARS: usize = 80;

section! {
    /// How a shop looks to its shoppers.
    pub struct Branding {
        /// What shoppers call the shop; the name in `SHOP` unless it is given.
        pub shop_name: String = ShopName("SHOP_NAME"),
        /// A path on the shop's own host, or an `https://` URL.
        pub logo: Option<String> = Logo("SHOP_LOGO"),
        /// Of the page's head, of links and outlines: `#rrggbb`.
        pub primary_color: Color = Or("SHOP_PRIMARY_COLOR", Branding::DEFAULT_PRIMARY_COLOR),
        /// Of the button that leads to the payment: `#rrggbb`.
        pub accent_color: Color = Or("SHOP_ACCENT_COLOR", Branding::DEFAULT_ACCENT_COLOR),
    }
}

impl Branding {
    pub const DEFAULT_PRIMARY_COLOR: Color = Color::new(0x1f, 0x3a, 0x8a);
    pub const DEFAULT_ACCENT_COLOR: Color = Color::new(0xff, 0x9f, 0x1c);
}

struct ShopName(&'static str);

impl Field<String> for ShopName {
    fn read(&self, reader: &mut Reader<'_>) -> Option<String> {
        let name = reader.raw(self.0).map(|name| name.trim().to_owned());
        // What is wrong with `SHOP` is told where it is read.
        let shop = || Some(reader.raw("SHOP")?.trim().parse::<Shop>().ok()?.name().to_owned());
        let name = name.or_else(shop)?;
        if is_shop_name(&name) {
            return Some(name);
        }
        let problem =
            format!("must be 1 to {SHOP_NAME_MAX_CHARS} characters without control characters");
        reader.problem(self.0, problem);
        None
    }

    fn write(&self, value: &String, variables: &mut Variables) {
        variables.insert(self.0.into(), value.clone());
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        let meaning = format!("{} At most {SHOP_NAME_MAX_CHARS} characters.", meaning.trim());
        list.push(Variable { name: self.0, meaning, need: Need::Optional, limits: None });
    }
}

struct Logo(&'static str);

impl Field<Option<String>> for Logo {
    fn read(&self, reader: &mut Reader<'_>) -> Option<Option<String>> {
        let logo = reader.raw(self.0).map(|logo| logo.trim().to_owned());
        if logo.as_deref().is_some_and(|logo| !is_picture(logo)) {
            reader.problem(self.0, "must be a path such as /img/logo.svg, or an https:// URL");
        }
        Some(logo)
    }

    fn write(&self, value: &Option<String>, variables: &mut Variables) {
        Optional(self.0).write(value, variables);
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        Field::<Option<String>>::describe(&Optional(self.0), meaning, list);
    }
}

/// Whether shoppers can read a text as the name of a shop: one line that is not blank.
pub fn is_shop_name(name: &str) -> bool {
    let length = name.chars().count();
    (1..=SHOP_NAME_MAX_CHARS).contains(&length)
        && !name.trim().is_empty()
        && !name.chars().any(char::is_control)
}
