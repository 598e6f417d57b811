//! The fence around each part: a policy each, with every edge that is needed and no other.
//!
//! ```text
//! anywhere ► gateway ► payment, order, sandbox     payment ► Stripe or sandbox     sandbox ► gateway
//! order ► email ► mail server or sandbox           every service but gateway ► brokers, database
//! operator ► brokers                               anywhere ► admin ports (metrics)
//! ```

use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule,
        NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use storefront_contract::{CATALOG, Http, ServiceId, catalog::ADMIN_PORT, service};

use super::{
    Context, Object,
    service::{CONTROLLER_PORT, POSTGRES_PORT},
    service_account::components,
};
use crate::{
    names,
    plan::cluster::{INBOX_SMTP_PORT, KAFKA_PORT, SANDBOX_PORT},
};

/// Ports of pods, which a Service may give other ones: those of `OpenShift` listen at the second.
const DNS_PORTS: [u16; 2] = [53, 5353];
const HTTPS_PORT: u16 = 443;
/// Strimzi's listener with TLS and SCRAM.
const STRIMZI_PORT: u16 = 9093;
/// Brokers of others tell clients where to go on, and a database's URL is a secret: neither port is
/// known here, but neither is one of those below.
const FIRST_FREE_PORT: u16 = 1024;

pub(super) fn all(context: &Context<'_>) -> Vec<Object> {
    let enabled = context.spec.network_policy.as_ref().and_then(|policy| policy.enabled);
    if enabled == Some(false) {
        return Vec::new();
    }
    components(context).iter().map(|component| policy(context, component).into()).collect()
}

fn policy(context: &Context<'_>, component: &str) -> NetworkPolicy {
    let edges = Edges { context, component };
    let (ingress, egress) = match component.parse::<ServiceId>() {
        Ok(id) => (edges.service_callers(id), edges.service_calls(id)),
        Err(_) => (edges.other_callers(), edges.other_calls()),
    };
    NetworkPolicy {
        metadata: context.meta(component, component),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(context.selector(component)),
            // An empty list lets nothing through.
            ingress: Some(ingress),
            egress: Some(egress),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
        }),
    }
}

struct Edges<'a> {
    context: &'a Context<'a>,
    component: &'a str,
}

impl Edges<'_> {
    fn runs(&self, id: ServiceId) -> bool {
        self.context.input.plan.service(id).is_some()
    }

    /// Pods of other parts of the same shop that run.
    fn parts(&self, parts: &[&str]) -> Vec<NetworkPolicyPeer> {
        let running = components(self.context);
        let parts = parts.iter().filter(|part| running.contains(part));
        parts.map(|part| pods(self.context.selector(part))).collect()
    }

    fn service_callers(&self, id: ServiceId) -> Vec<NetworkPolicyIngressRule> {
        let http = port(service(id).http_port);
        let callers = match service(id).http {
            Http::Public => {
                return vec![
                    NetworkPolicyIngressRule { from: None, ports: Some(vec![http]) },
                    metrics(),
                ];
            }
            // Without a gateway the stand-in's webhooks come straight here.
            Http::Routed(_) if id == ServiceId::Payment => {
                self.parts(&[ServiceId::Gateway.name(), names::SANDBOX])
            }
            Http::Routed(_) => self.parts(&[ServiceId::Gateway.name()]),
            Http::Internal if id == ServiceId::Email => self.parts(&[ServiceId::Order.name()]),
            Http::Internal => Vec::new(),
        };
        ingress(callers, vec![http]).into_iter().chain([metrics()]).collect()
    }

    fn service_calls(&self, id: ServiceId) -> Vec<NetworkPolicyEgressRule> {
        let to = |part: &str, number: u16| egress(self.parts(&[part]), vec![port(number)]);
        let spec = self.context.spec;
        let mut rules = vec![Some(dns())];
        match id {
            ServiceId::Gateway => {
                let routed = CATALOG.iter().filter(|entry| matches!(entry.http, Http::Routed(_)));
                rules.extend(routed.map(|entry| to(entry.id.name(), entry.http_port)));
                rules.extend(spec.is_sandbox().then(|| to(names::SANDBOX, SANDBOX_PORT)));
            }
            ServiceId::Payment if spec.is_sandbox() => rules.push(to(names::SANDBOX, SANDBOX_PORT)),
            ServiceId::Payment => rules.push(egress(outside(), vec![port(HTTPS_PORT)])),
            ServiceId::Order => {
                let email = ServiceId::Email;
                rules.push(to(email.name(), service(email).http_port));
            }
            ServiceId::Email if spec.smtp().is_none() => {
                rules.push(to(names::SANDBOX, INBOX_SMTP_PORT));
            }
            ServiceId::Email => {
                let number = self.context.input.placement.smtp.port;
                rules.push(egress(outside(), vec![port(number)]));
            }
            ServiceId::Analytics => {}
        }
        if service(id).database {
            rules.extend([self.to_brokers(), self.to_database()]);
        }
        rules.into_iter().flatten().collect()
    }

    fn to_brokers(&self) -> Option<NetworkPolicyEgressRule> {
        if let Some(strimzi) = self.context.spec.strimzi() {
            let labels = [("strimzi.io/cluster".to_owned(), strimzi.cluster.clone())];
            let brokers = LabelSelector { match_labels: Some(labels.into()), ..Default::default() };
            return egress(vec![pods(brokers)], vec![port(STRIMZI_PORT)]);
        }
        if self.context.spec.external_kafka().is_some() {
            return egress(outside(), vec![free_ports()]);
        }
        egress(self.parts(&[names::KAFKA]), vec![port(KAFKA_PORT)])
    }

    fn to_database(&self) -> Option<NetworkPolicyEgressRule> {
        if self.context.manages_database() {
            return egress(self.parts(&[names::DATABASE]), vec![port(POSTGRES_PORT)]);
        }
        egress(outside(), vec![free_ports()])
    }

    fn other_callers(&self) -> Vec<NetworkPolicyIngressRule> {
        let with_database: Vec<_> =
            CATALOG.iter().filter(|entry| entry.database).map(|entry| entry.id.name()).collect();
        let rules = match self.component {
            names::SANDBOX => {
                let shoppers = [ServiceId::Gateway.name(), ServiceId::Payment.name()];
                let mailers = [ServiceId::Email.name()];
                let spec = self.context.spec;
                let pays = spec.is_sandbox().then(|| self.parts(&shoppers));
                let mails = spec.smtp().is_none().then(|| self.parts(&mailers));
                [
                    ingress(pays.unwrap_or_default(), vec![port(SANDBOX_PORT)]),
                    ingress(mails.unwrap_or_default(), vec![port(INBOX_SMTP_PORT)]),
                ]
            }
            names::DATABASE => {
                [ingress(self.parts(&with_database), vec![port(POSTGRES_PORT)]), None]
            }
            _ => {
                let mut clients = self.parts(&with_database);
                clients.push(operator(self.context));
                let both = vec![port(KAFKA_PORT), port(CONTROLLER_PORT)];
                [
                    ingress(clients, vec![port(KAFKA_PORT)]),
                    ingress(self.parts(&[names::KAFKA]), both),
                ]
            }
        };
        rules.into_iter().flatten().collect()
    }

    fn other_calls(&self) -> Vec<NetworkPolicyEgressRule> {
        let beyond_names = match self.component {
            names::SANDBOX if self.context.spec.is_sandbox() => {
                let door = [ServiceId::Gateway, ServiceId::Payment];
                let door = door.into_iter().find(|id| self.runs(*id));
                door.and_then(|id| {
                    egress(self.parts(&[id.name()]), vec![port(service(id).http_port)])
                })
            }
            names::KAFKA => {
                let ports = vec![port(KAFKA_PORT), port(CONTROLLER_PORT)];
                egress(self.parts(&[names::KAFKA]), ports)
            }
            // Neither an inbox nor a database calls anybody.
            _ => return Vec::new(),
        };
        [Some(dns()), beyond_names].into_iter().flatten().collect()
    }
}

/// Whoever collects metrics, wherever it is in the cluster.
fn metrics() -> NetworkPolicyIngressRule {
    let anywhere_inside = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        ..Default::default()
    };
    NetworkPolicyIngressRule {
        from: Some(vec![anywhere_inside]),
        ports: Some(vec![port(ADMIN_PORT)]),
    }
}

fn pods(selector: LabelSelector) -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(selector), ..Default::default() }
}

/// The operator, in its own namespace: whoever may create pods in any other could take its label. Where
/// that namespace is not known, it is the shop's.
fn operator(context: &Context<'_>) -> NetworkPolicyPeer {
    let labels = [("app.kubernetes.io/name".to_owned(), "storefront-operator".to_owned())];
    let namespace = context.input.options.namespace.as_ref().map(|namespace| {
        // Kubernetes itself puts this label on every namespace, and nobody can change it.
        let named = [("kubernetes.io/metadata.name".to_owned(), namespace.clone())];
        LabelSelector { match_labels: Some(named.into()), ..Default::default() }
    });
    NetworkPolicyPeer {
        namespace_selector: namespace,
        pod_selector: Some(LabelSelector {
            match_labels: Some(labels.into()),
            ..Default::default()
        }),
        ip_block: None,
    }
}

/// Every address but those of the machine itself, where clouds answer with their own credentials.
fn outside() -> Vec<NetworkPolicyPeer> {
    let block = |cidr: &str, except: &str| NetworkPolicyPeer {
        ip_block: Some(IPBlock { cidr: cidr.to_owned(), except: Some(vec![except.to_owned()]) }),
        ..Default::default()
    };
    vec![block("0.0.0.0/0", "169.254.0.0/16"), block("::/0", "fe80::/10")]
}

fn port(number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(number.into())),
        protocol: Some("TCP".into()),
        end_port: None,
    }
}

fn free_ports() -> NetworkPolicyPort {
    NetworkPolicyPort { end_port: Some(u16::MAX.into()), ..port(FIRST_FREE_PORT) }
}

/// To anywhere, as a resolver may run on the node itself.
fn dns() -> NetworkPolicyEgressRule {
    let both = |number| {
        let udp = NetworkPolicyPort { protocol: Some("UDP".into()), ..port(number) };
        [udp, port(number)]
    };
    let ports = DNS_PORTS.into_iter().flat_map(both).collect();
    NetworkPolicyEgressRule { to: None, ports: Some(ports) }
}

/// No rule when nobody is meant: Kubernetes takes an empty list for everybody.
fn ingress(
    from: Vec<NetworkPolicyPeer>,
    ports: Vec<NetworkPolicyPort>,
) -> Option<NetworkPolicyIngressRule> {
    let from = Some(from).filter(|from| !from.is_empty())?;
    Some(NetworkPolicyIngressRule { from: Some(from), ports: Some(ports) })
}

fn egress(
    to: Vec<NetworkPolicyPeer>,
    ports: Vec<NetworkPolicyPort>,
) -> Option<NetworkPolicyEgressRule> {
    let to = Some(to).filter(|to| !to.is_empty())?;
    Some(NetworkPolicyEgressRule { to: Some(to), ports: Some(ports) })
}
