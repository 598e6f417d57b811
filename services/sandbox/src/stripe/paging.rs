//! The parameters that lists have in common (<https://docs.stripe.com/api/pagination>).

use super::{
    error::StripeError,
    form::Node,
    params::{Param, unknown},
};

const LIMIT: i64 = 10;
const LIMIT_MAX: i64 = 100;

/// How much of a list, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging<'a> {
    pub limit: i64,
    pub starting_after: Option<&'a str>,
    pub ending_before: Option<&'a str>,
}

/// Reads them; `also` are the list's own parameters, anything else is refused.
pub fn read<'a>(params: &'a Node, also: &[&str]) -> Result<Paging<'a>, StripeError> {
    if let Node::Map(fields) = params {
        let common = ["limit", "starting_after", "ending_before", "expand"];
        let strange =
            |name: &&String| !common.contains(&name.as_str()) && !also.contains(&name.as_str());
        if let Some(name) = fields.keys().find(strange) {
            return Err(unknown(name));
        }
    }
    let of = |name| Param::of(params, name);
    let paging = Paging {
        limit: of("limit").integer_within(1, LIMIT_MAX)?.unwrap_or(LIMIT),
        starting_after: of("starting_after").text()?,
        ending_before: of("ending_before").text()?,
    };
    if paging.starting_after.is_some() && paging.ending_before.is_some() {
        return Err(StripeError::invalid(
            "You cannot parameterize both starting_after and ending_before.",
        ));
    }
    Ok(paging)
}

/// `created=T` or `created[gte]=T` and the like, as the least and the most.
pub fn created(params: &Node) -> Result<(Option<i64>, Option<i64>), StripeError> {
    let param = Param::of(params, "created");
    if let Some(Node::Text(_)) = params.get("created") {
        let exactly = param.integer()?;
        return Ok((exactly, exactly));
    }
    param.only(&["gt", "gte", "lt", "lte"])?;
    let of = |name: &str| param.child(name).integer();
    let since = [of("gte")?, of("gt")?.map(|time| time.saturating_add(1))];
    let until = [of("lte")?, of("lt")?.map(|time| time.saturating_sub(1))];
    Ok((since.into_iter().flatten().max(), until.into_iter().flatten().min()))
}

/// A page of a list that is at hand whole; `id_of` names its members.
pub fn slice<'a, T>(
    all: &'a [T],
    paging: &Paging<'_>,
    id_of: impl Fn(&T) -> &str,
) -> Option<(&'a [T], bool)> {
    let place = |id: &str| all.iter().position(|one| id_of(one) == id);
    let limit = usize::try_from(paging.limit).unwrap_or_default();
    if let Some(id) = paging.ending_before {
        let end = place(id)?;
        let start = end.saturating_sub(limit);
        return Some((&all[start..end], start > 0));
    }
    let start = match paging.starting_after {
        Some(id) => place(id)? + 1,
        None => 0,
    };
    let end = all.len().min(start + limit);
    Some((&all[start..end], end < all.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::form;

    fn told(query: &str) -> String {
        let params = form::parse(query.as_bytes()).unwrap();
        let paging = match read(&params, &["created"]) {
            Ok(paging) => paging,
            Err(error) => return error.message,
        };
        let times = created(&params).map_or_else(|e| e.message, |times| format!("{times:?}"));
        let all = ["a", "b", "c", "d"];
        format!("{:?} {times}", slice(&all, &paging, |one| one))
    }

    #[test]
    fn pages_are_cut() {
        assert_eq!(told("limit=3"), r#"Some((["a", "b", "c"], true)) (None, None)"#);
        assert_eq!(told("limit=3&starting_after=b"), r#"Some((["c", "d"], false)) (None, None)"#);
        assert_eq!(told("limit=2&ending_before=d"), r#"Some((["b", "c"], true)) (None, None)"#);
        assert_eq!(told("starting_after=x"), "None (None, None)");
    }

    #[test]
    fn times_are_read() {
        let all = r#"Some((["a", "b", "c", "d"], false))"#;
        assert_eq!(told("created=5"), format!("{all} (Some(5), Some(5))"));
        assert_eq!(told("created[gt]=5&created[lt]=9"), format!("{all} (Some(6), Some(8))"));
        assert_eq!(told("created[gte]=5"), format!("{all} (Some(5), None)"));
        assert!(told("created[since]=5").contains("unknown parameter: created[since]"));
    }

    #[test]
    fn limits_are_kept() {
        assert_eq!(told("limit=0"), "This value must be greater than or equal to 1.");
        assert_eq!(told("limit=101"), "This value must be less than or equal to 100.");
        assert_eq!(told("limit=ten"), "Invalid integer: ten");
        assert!(told("starting_after=a&ending_before=b").contains("both"));
        assert_eq!(told("page=2"), "Received unknown parameter: page");
    }
}
