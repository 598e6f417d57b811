//! The ledger's failures as the control API and the pages tell them: RFC 9457 problems. Stripe's API
//! and Mailpit's have their own forms.

use http::StatusCode;
use storefront_runtime::Problem;

use crate::{ledger::LedgerError, store::StoreError};

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        error.log("a request");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Ledger failed")
            .detail("The sandbox could not keep its ledger; see its log.")
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        let text = error.to_string();
        match error {
            LedgerError::NotFound => {
                Self::new(StatusCode::NOT_FOUND, "No such session").detail(text)
            }
            LedgerError::Conflict(conflict) => Self::new(StatusCode::CONFLICT, "Not possible now")
                .detail(text)
                .with("action", conflict.action.name())
                .with("state", conflict.state.name()),
            LedgerError::Store(error) => error.into(),
        }
    }
}
