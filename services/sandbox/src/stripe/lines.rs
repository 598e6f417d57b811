//! `line_items` of a new session: products and prices given inline, one currency, no surprises.

use super::{currency, error::StripeError, metadata::read as metadata, params::Param};
use crate::{ids, session::Line};

const LINES_MAX: usize = 100;
/// Stripe's largest `unit_amount`; the total has its own limit by currency.
const UNIT_AMOUNT_MAX: i64 = 999_999_999_999;
const QUANTITY_MAX: i64 = 999_999;
const IMAGES_MAX: usize = 8;

/// The lines and their currency.
pub fn read(param: &Param<'_>) -> Result<(Vec<Line>, String), StripeError> {
    let items = param.items()?;
    if items.is_empty() {
        return Err(StripeError::missing("line_items"));
    }
    if items.len() > LINES_MAX {
        return Err(param.invalid(format!(
            "You may only specify up to {LINES_MAX} `line_items`, but you passed in {}.",
            items.len()
        )));
    }
    let mut lines = Vec::with_capacity(items.len());
    let mut currency: Option<String> = None;
    for item in &items {
        let (line, line_currency) = one(item)?;
        if currency.get_or_insert_with(|| line_currency.clone()) != &line_currency {
            return Err(item.invalid("All `line_items` must have the same currency."));
        }
        lines.push(line);
    }
    Ok((lines, currency.unwrap_or_default()))
}

/// What the lines cost together, in minor units.
pub fn total(lines: &[Line]) -> Result<i64, StripeError> {
    lines
        .iter()
        .try_fold(0_i64, |sum, line| sum.checked_add(line.unit_amount.checked_mul(line.quantity)?))
        .ok_or_else(|| {
            StripeError::invalid("The Checkout Session's total amount is too large.")
                .code("amount_too_large")
        })
}

fn one(item: &Param<'_>) -> Result<(Line, String), StripeError> {
    item.only(&[
        "price",
        "price_data",
        "quantity",
        "adjustable_quantity",
        "metadata",
        "tax_rates",
        "dynamic_tax_rates",
    ])?;
    for refused in ["tax_rates", "dynamic_tax_rates"] {
        if item.child(refused).is_given() {
            return Err(item.child(refused).invalid("The sandbox does not implement tax rates."));
        }
    }
    let adjustable = item.child("adjustable_quantity").child("enabled");
    if adjustable.boolean()? == Some(true) {
        return Err(adjustable.invalid("The sandbox does not implement adjustable quantities."));
    }
    let price = item.child("price");
    let price_data = item.child("price_data");
    match (price.text()?, price_data.is_given()) {
        (Some(_), true) => {
            let message = "You may only specify one of these parameters: price, price_data.";
            return Err(item.invalid(message));
        }
        // The stand-in keeps no prices of its own, so none of that id exists.
        (Some(id), false) => {
            return Err(StripeError {
                status: 400,
                ..StripeError::no_such("price", id, price.path())
            });
        }
        (None, false) => return Err(StripeError::missing(price_data.path())),
        (None, true) => {}
    }
    let quantity = item.child("quantity");
    let quantity = quantity.integer_within(1, QUANTITY_MAX)?.ok_or_else(|| {
        quantity
            .invalid(format!("Quantity is required. Add `quantity` to `{}`", item.path()))
            .code("parameter_missing")
    })?;
    priced(&price_data, quantity)
}

fn priced(price_data: &Param<'_>, quantity: i64) -> Result<(Line, String), StripeError> {
    price_data.only(&[
        "currency",
        "product",
        "product_data",
        "tax_behavior",
        "unit_amount",
        "unit_amount_decimal",
    ])?;
    let code = price_data.child("currency");
    let currency = currency::read(code.required()?, code.path())?;
    let amount = price_data.child("unit_amount");
    let decimal = price_data.child("unit_amount_decimal");
    let unit_amount = match (amount.is_given(), decimal.is_given()) {
        (true, true) => {
            return Err(price_data.invalid(
                "You may only specify one of these parameters: unit_amount, unit_amount_decimal.",
            ));
        }
        (false, true) => decimal.integer_within(0, UNIT_AMOUNT_MAX)?,
        _ => amount.integer_within(0, UNIT_AMOUNT_MAX)?,
    };
    let unit_amount = unit_amount.ok_or_else(|| StripeError::missing(amount.path()))?;
    currency::check_step(unit_amount, &currency, amount.path())?;
    let product = price_data.child("product_data");
    if let Some(id) = price_data.child("product").text()? {
        let path = price_data.child("product").path().to_owned();
        return Err(StripeError { status: 400, ..StripeError::no_such("product", id, &path) });
    }
    if !product.is_given() {
        return Err(StripeError::missing(product.path()));
    }
    product.only(&["name", "description", "images", "metadata", "tax_code", "unit_label"])?;
    let images = product.child("images");
    let urls: Result<Vec<_>, _> =
        images.items()?.iter().map(|image| image.required().map(str::to_owned)).collect();
    let urls = urls?;
    if urls.len() > IMAGES_MAX {
        return Err(images.invalid(format!("You may only specify up to {IMAGES_MAX} `images`.")));
    }
    let line = Line {
        id: ids::stripe("li"),
        price_id: ids::stripe("price"),
        product_id: format!("prod_{}", ids::token(14)),
        name: product.child("name").required()?.to_owned(),
        description: product.child("description").text()?.map(str::to_owned),
        images: urls,
        product_metadata: metadata(&product.child("metadata"))?,
        unit_amount,
        quantity,
    };
    Ok((line, currency))
}
