//! What the shopper typed: read, and checked against what a card form wants. Pure. Nothing here is
//! logged, stored or printed by `Debug`: a number that somebody typed may be a real one.

use url::form_urlencoded;

use super::cards::{self, TestCard};
use crate::payment::{Card, Payer};

/// Longest text of one field, in letters; the rest is not read.
const FIELD_MAX: usize = 254;

/// How the shopper pays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    #[default]
    Card,
    /// The money comes later, or not.
    Bank,
}

/// The fields as they were typed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields {
    pub email: String,
    pub method: Method,
    pub number: String,
    pub expiry: String,
    pub cvc: String,
    pub name: String,
    /// The test card's button that was pressed instead of "Pay".
    pub fill: Option<String>,
}

impl Fields {
    /// Reads a form's body. What is unknown is skipped; of two values the last counts.
    pub fn read(body: &[u8]) -> Self {
        let mut fields = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            let value: String =
                value.trim().chars().filter(|c| !c.is_control()).take(FIELD_MAX).collect();
            match &*name {
                "email" => fields.email = value,
                "method" if value == "bank" => fields.method = Method::Bank,
                "number" => fields.number = value,
                "expiry" => fields.expiry = value,
                "cvc" => fields.cvc = value,
                "name" => fields.name = value,
                "fill" => fields.fill = Some(value),
                _ => {}
            }
        }
        fields
    }

    /// Puts a test card into the fields, with a good date and code.
    pub fn fill_with(&mut self, card: &TestCard) {
        self.method = Method::Card;
        self.number = card.grouped();
        self.expiry = GOOD_EXPIRY.into();
        self.cvc = good_cvc(card).into();
        if self.name.is_empty() {
            self.name = GOOD_NAME.into();
        }
    }
}

/// What a test card is filled in with.
pub const GOOD_EXPIRY: &str = "12 / 34";
pub const GOOD_NAME: &str = "Test Shopper";

/// A security code of the length that the card has.
pub fn good_cvc(card: &TestCard) -> &'static str {
    if card.cvc_length() == 4 { "1234" } else { "123" }
}

/// What is wrong, field by field, in words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mistakes {
    pub email: Option<&'static str>,
    pub number: Option<&'static str>,
    pub expiry: Option<&'static str>,
    pub cvc: Option<&'static str>,
    pub name: Option<&'static str>,
}

impl Mistakes {
    fn are_none(&self) -> bool {
        let Self { email, number, expiry, cvc, name } = self;
        [email, number, expiry, cvc, name].into_iter().all(Option::is_none)
    }
}

/// A form without mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    Card(&'static TestCard, Payer),
    Bank(Payer),
}

/// A month of a year, to compare a card's date with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    pub year: i16,
    pub month: i8,
}

/// Checks the fields. An `email` that the shop knew already is not asked for.
pub fn check(fields: &Fields, known_email: bool, now: Month) -> Result<Checked, Mistakes> {
    let mut mistakes = Mistakes::default();
    let email = if known_email { None } else { noted(&mut mistakes.email, email(&fields.email)) };
    if fields.method == Method::Bank {
        let payer = Payer { email, ..Payer::default() };
        return if mistakes.are_none() { Ok(Checked::Bank(payer)) } else { Err(mistakes) };
    }
    let card = noted(&mut mistakes.number, number(&fields.number));
    let month = noted(&mut mistakes.expiry, expiry(&fields.expiry, now));
    let _code = noted(&mut mistakes.cvc, cvc(&fields.cvc, card));
    let name = noted(&mut mistakes.name, name(&fields.name));
    match (card, month) {
        (Some(card), Some(month)) if mistakes.are_none() => {
            let shown = Card {
                brand: card.brand.into(),
                last4: card.last4().into(),
                exp_month: month.month,
                exp_year: month.year,
            };
            Ok(Checked::Card(card, Payer { email, name, card: Some(shown) }))
        }
        _ => Err(mistakes),
    }
}

fn noted<T>(place: &mut Option<&'static str>, result: Result<T, &'static str>) -> Option<T> {
    result.map_err(|mistake| *place = Some(mistake)).ok()
}

fn email(typed: &str) -> Result<String, &'static str> {
    if typed.is_empty() {
        return Err("Enter your email, so that the shop can send the receipt.");
    }
    let good = typed.split_once('@').is_some_and(|(local, domain)| {
        let odd = |c: char| c.is_whitespace() || "<>()[]\\,;:\"@".contains(c);
        let labels_are_good = domain.split('.').all(|label| !label.is_empty());
        !local.is_empty() && labels_are_good && !typed.contains("..") && {
            !local.contains(odd) && !domain.contains(odd)
        }
    });
    if good { Ok(typed.to_owned()) } else { Err("Your email is incomplete: name@example.com.") }
}

fn number(typed: &str) -> Result<&'static TestCard, &'static str> {
    let digits: String = typed.chars().filter(|c| !matches!(c, ' ' | '-' | '\u{a0}')).collect();
    if digits.is_empty() {
        return Err("Enter a test card's number.");
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("A card number has digits only.");
    }
    if !(12..=19).contains(&digits.len()) {
        return Err("Your card number is incomplete: it has 12 to 19 digits.");
    }
    if !cards::fits(&digits) {
        return Err("Your card number is invalid: a digit of it is wrong.");
    }
    TestCard::find(&digits).ok_or(
        "This is no test card. The stand-in takes only Stripe's test cards: choose one above. \
         Never type a real card's number here.",
    )
}

/// `MM/YY`, `MM/YYYY`, with blanks or without the stroke.
fn expiry(typed: &str, now: Month) -> Result<Month, &'static str> {
    if typed.is_empty() {
        return Err("Enter the card's expiry date, such as 12/34.");
    }
    let incomplete = "Your card's expiry date is incomplete: write it as MM/YY, such as 12/34.";
    let packed: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let (month, year) = match packed.split_once(['/', '-', '.']) {
        Some(parts) => parts,
        None => packed.split_at_checked(2).ok_or(incomplete)?,
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(month) || !digits(year) || !(1..=2).contains(&month.len()) {
        return Err(incomplete);
    }
    let year = match (year.len(), year.parse::<i16>()) {
        (2, Ok(year)) => 2000 + year,
        (4, Ok(year)) => year,
        _ => return Err(incomplete),
    };
    let month = month.parse().ok().filter(|month| (1..=12).contains(month));
    let date = Month { year, month: month.ok_or("The month is 01 to 12.")? };
    if date < now {
        return Err("Your card's expiry date is in the past.");
    }
    if date.year > now.year + 50 {
        return Err("Your card's expiry date is too far in the future.");
    }
    Ok(date)
}

fn cvc(typed: &str, card: Option<&TestCard>) -> Result<(), &'static str> {
    if typed.is_empty() {
        return Err("Enter any three digits as the security code.");
    }
    let good = |length: usize| card.map_or((3..=4).contains(&length), |c| c.cvc_length() == length);
    if typed.bytes().all(|byte| byte.is_ascii_digit()) && good(typed.len()) {
        return Ok(());
    }
    match card {
        Some(card) if card.cvc_length() == 4 => {
            Err("An American Express card's code has 4 digits.")
        }
        _ => Err("Your card's security code is incomplete: it has 3 digits."),
    }
}

fn name(typed: &str) -> Result<String, &'static str> {
    if typed.is_empty() {
        return Err("Enter the name on the card.");
    }
    // Whoever types the number into the wrong field must not have it stored.
    if typed.chars().filter(char::is_ascii_digit).count() >= 12 {
        return Err("This looks like a card number. Enter the name on the card.");
    }
    Ok(typed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Month = Month { year: 2026, month: 11 };
    const GOOD: &str = "email=asha@example.com&number=4242+4242+4242+4242&expiry=12/34&cvc=123\
                        &name=Asha+Rao";

    fn told(change: &str) -> String {
        let fields = Fields::read(format!("{GOOD}&{change}").as_bytes());
        match check(&fields, false, NOW) {
            Ok(Checked::Card(card, payer)) => {
                let month = payer.card.map(|card| (card.exp_month, card.exp_year)).unwrap();
                format!("{change}: {} {month:?} {}", card.brand, payer.name.unwrap())
            }
            Ok(Checked::Bank(payer)) => format!("{change}: bank {}", payer.email.unwrap()),
            Err(Mistakes { email, number, expiry, cvc, name }) => {
                let all = [email, number, expiry, cvc, name];
                let all: Vec<&str> = all.into_iter().flatten().collect();
                format!("{change}: {}", all.join(" | "))
            }
        }
    }

    #[test]
    fn each_mistake_is_told_in_words() {
        let changes = [
            "",
            "method=bank",
            "method=bank&number=",
            "email=",
            "email=asha",
            "email=a@b@c",
            "email=a@b.",
            "email=a%0d%0ab@c",
            "email=नमस्ते@उदाहरण.भारत",
            "number=",
            "number=4242",
            "number=4242-4242-4242-4242",
            "number=4242424242424241",
            "number=4111111111111111",
            "number=४२४२४२४२४२४२४२४२",
            "number=42424242424242424242",
            "number=378282246310005",
            "number=378282246310005&cvc=1234",
            "expiry=",
            "expiry=1",
            "expiry=13/30",
            "expiry=00/30",
            "expiry=10/26",
            "expiry=11/26",
            "expiry=1130",
            "expiry=1/2030",
            "expiry=11-30",
            "expiry=12/99",
            "expiry=a/b",
            "expiry=12/034",
            "expiry=é1/30",
            "cvc=",
            "cvc=12",
            "cvc=12a",
            "cvc=1234",
            "name=",
            "name=4242+4242+4242+4242",
            "name=आशा",
            "email=&number=&expiry=&cvc=&name=",
        ];
        let told: Vec<String> = changes.iter().map(|change| told(change)).collect();
        insta::assert_snapshot!("mistakes", told.join("\n"));
    }

    #[test]
    fn a_known_address_is_not_asked_for() {
        let fields = Fields::read(b"method=bank&email=eve@example.com");
        assert_eq!(check(&fields, true, NOW), Ok(Checked::Bank(Payer::default())));
    }

    #[test]
    fn every_offered_card_fills_the_form_so_that_it_is_taken() {
        for card in cards::CARDS {
            let mut fields = Fields { email: "a@example.com".into(), ..Fields::default() };
            fields.fill_with(card);
            let checked = check(&fields, false, NOW);
            assert!(matches!(checked, Ok(Checked::Card(found, _)) if found == card), "{checked:?}");
        }
    }
}
