//! What can go wrong between this command and a cluster, in words that say what to do.

use kube::config::KubeconfigError;

/// How the operator gets into a cluster.
const INSTALL: &str = "helm install storefront-operator charts/storefront-operator \
                       --namespace storefront --create-namespace";

/// Why a cluster could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "no cluster is configured: give --kubeconfig FILE or set KUBECONFIG; `kubectl config view` shows what is known"
    )]
    NoCluster {
        #[source]
        source: KubeconfigError,
    },
    #[error("the kubeconfig has no current context: give --context; known here are {known}")]
    NoCurrentContext { known: String },
    #[error("the kubeconfig has no context {context:?}: known here are {known}")]
    NoContext { context: String, known: String },
    #[error("the kubeconfig cannot be used: check it with `kubectl config view`")]
    Kubeconfig {
        #[source]
        source: Cause,
    },
    #[error("the kubeconfig makes no client: check its certificates and its proxy")]
    Client {
        #[source]
        source: Cause,
    },
    #[error("the API server {url} does not answer: check the network, and the context")]
    Unreachable {
        url: String,
        #[source]
        source: Cause,
    },
    #[error("the API server {url} does not know who you are: sign in again")]
    Unauthorized {
        url: String,
        #[source]
        source: Cause,
    },
    #[error("you may not {verb} {resource} {place}: ask for a role that allows it")]
    Forbidden { verb: &'static str, resource: String, place: String },
    #[error("the cluster at {url} knows no Storefronts: install the operator, `{INSTALL}`")]
    NotInstalled { url: String },
    #[error("the API server does not {verb} {resource}: check the request, and its log")]
    Refused {
        verb: &'static str,
        resource: String,
        #[source]
        source: Cause,
    },
    #[error(
        "the rules of a Storefront cannot be evaluated: {0}; use the command of the operator's version"
    )]
    Rules(String),
    #[error("{}", .0.story())]
    Operator(storefront_operator::controller::error::Error),
    #[error("there is no Storefront {name} in namespace {namespace}: {known}")]
    NoStorefront { name: String, namespace: String, known: String },
}

/// The last of a chain of causes, which says what others say around.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Cause(String);

impl Cause {
    fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut last = error;
        while let Some(cause) = last.source() {
            last = cause;
        }
        Self(last.to_string())
    }
}

impl Error {
    /// A kubeconfig holds keys: what a parser shows of its lines is left out.
    pub(super) fn kubeconfig(error: &KubeconfigError) -> Self {
        let text = error.to_string();
        Self::Kubeconfig { source: Cause(text.lines().next().unwrap_or_default().to_owned()) }
    }

    pub(super) fn client(error: &kube::Error) -> Self {
        Self::Client { source: Cause::of(error) }
    }

    pub(super) fn explained(
        url: &str,
        verb: &'static str,
        resource: &str,
        namespace: Option<&str>,
        error: &kube::Error,
    ) -> Self {
        let (url, resource) = (url.to_owned(), resource.to_owned());
        let kube::Error::Api(status) = error else {
            return Self::Unreachable { url, source: Cause::of(error) };
        };
        let said = || Cause(status.message.clone());
        match status.code {
            401 => Self::Unauthorized { url, source: said() },
            403 => {
                let place = namespace.map(|name| format!("in namespace {name}"));
                let place = place.unwrap_or_else(|| "in all namespaces".to_owned());
                Self::Forbidden { verb, resource, place }
            }
            404 if resource.starts_with("storefronts.") => Self::NotInstalled { url },
            _ => Self::Refused { verb, resource, source: said() },
        }
    }

    /// A shop that is not there, with those that are.
    pub fn no_storefront(name: &str, namespace: &str, known: &[String]) -> Self {
        let known = match known {
            [] => "there is none at all; --namespace says where to look, `storefront status -A` \
                   looks everywhere"
                .to_owned(),
            known => format!("there are {}", known.join(", ")),
        };
        Self::NoStorefront { name: name.to_owned(), namespace: namespace.to_owned(), known }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn explained(code: u16, resource: &str, namespace: Option<&str>) -> String {
        let status = Status { code, message: "no".into(), ..Status::default() };
        let error = kube::Error::Api(Box::new(status));
        Error::explained("https://c:6443/", "list", resource, namespace, &error).to_string()
    }

    #[test]
    fn nothing_of_a_kubeconfig_is_told() {
        let wrong = "users:\n- user: {token: hunter2\n";
        let error = kube::config::Kubeconfig::from_yaml(wrong).unwrap_err();
        let told = format!("{:#}", anyhow::Error::from(Error::kubeconfig(&error)));
        assert!(told.contains("cannot be used") && !told.contains("hunter2"), "{told}");
    }

    #[test]
    fn an_answer_of_the_api_server_is_explained() {
        let storefronts = "storefronts.storefront.dev";
        insta::assert_snapshot!(
            [
                explained(401, storefronts, None),
                explained(403, storefronts, Some("shops")),
                explained(403, "secrets", None),
                explained(404, storefronts, None),
                explained(500, "pods", None),
                Error::no_storefront("demo", "shops", &[]).to_string(),
                Error::no_storefront("demo", "shops", &["a".into(), "b".into()]).to_string(),
            ]
            .join("\n")
        );
    }
}
