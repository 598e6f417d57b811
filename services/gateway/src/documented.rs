//! What the gateway itself may answer to a request for a service, for the OpenAPI document: the problems
//! that it does answer with, made by the same functions. What every server refuses is the runtime's.

use storefront_contract::settings::GatewaySettings;
use storefront_runtime::{Metrics, Problem};

use crate::{
    gateway::Gateway, link::SendError, problems, problems::Failure, target::BadPath,
    upstream::ConnectError,
};

/// The problems of any request that is routed to a service of this name.
pub fn problems(service: &str) -> Vec<Problem> {
    let failures: [Failure; 3] =
        [SendError::Ended.into(), ConnectError::TooMany.into(), SendError::Timeout.into()];
    let mut problems = vec![problems::bad_path(BadPath::EmptySegment)];
    problems.extend(failures.iter().map(|failure| failure.problem(service)));
    problems
}

/// Registers what the gateway counts.
pub fn register_metrics(settings: &GatewaySettings, metrics: &Metrics) {
    Gateway::new(settings, metrics);
}
