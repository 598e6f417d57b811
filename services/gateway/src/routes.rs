//! Which service a path belongs to. Built once from the settings, then only read.

use std::sync::Arc;

use storefront_contract::settings::Route;

use crate::upstream::Upstream;

/// All routes, the longest prefix first.
#[derive(Debug)]
pub struct Routes(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    prefix: Arc<str>,
    upstream: Arc<Upstream>,
}

impl Routes {
    /// A table in which the longest prefix wins. Routes to the same service and URL share its
    /// connections.
    pub fn new(routes: &[Route], mut upstream: impl FnMut(&Route) -> Upstream) -> Self {
        let mut entries: Vec<(&Route, Entry)> = Vec::with_capacity(routes.len());
        for route in routes {
            let same = |known: &Route| {
                (&known.service, &known.upstream) == (&route.service, &route.upstream)
            };
            let known = entries.iter().find(|(known, _)| same(known));
            let upstream = match known {
                Some((_, entry)) => entry.upstream.clone(),
                None => Arc::new(upstream(route)),
            };
            entries.push((route, Entry { prefix: route.prefix.as_str().into(), upstream }));
        }
        entries.sort_by(|(_, a), (_, b)| {
            b.prefix.len().cmp(&a.prefix.len()).then(a.prefix.cmp(&b.prefix))
        });
        Self(entries.into_iter().map(|(_, entry)| entry).collect())
    }

    /// The prefix that a normal path lies under, by whole segments, and its service.
    pub fn find(&self, path: &str) -> Option<(&Arc<str>, &Arc<Upstream>)> {
        let entry = self.0.iter().find(|entry| {
            path.strip_prefix(&*entry.prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })?;
        Some((&entry.prefix, &entry.upstream))
    }

    /// The services and their prefixes, for people who asked for something else.
    pub fn services(&self) -> Vec<(&str, &str)> {
        let mut services: Vec<_> =
            self.0.iter().map(|entry| (entry.upstream.service(), &*entry.prefix)).collect();
        services.sort_unstable();
        services
    }

    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.0.iter().map(|entry| &entry.upstream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(text: &str) -> Routes {
        let routes: Vec<Route> = text.split(' ').map(|route| route.parse().unwrap()).collect();
        Routes::new(&routes, Upstream::for_tests)
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        let routes = routes(
            "/payment=payment@http://p:1 /payment/admin=admin@http://a:1 \
             /catalog=payment@http://p:1",
        );
        let found = |path: &str| routes.find(path).map(|(_, upstream)| upstream.service());
        assert_eq!(found("/payment"), Some("payment"));
        assert_eq!(found("/payment/x/y"), Some("payment"));
        assert_eq!(found("/payment/admin"), Some("admin"));
        assert_eq!(found("/payment/adminx"), Some("payment"));
        for none in ["/", "/payments", "/PAYMENT", "/payment;x=1", "/admin", "/catalo"] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn prefixes_of_one_service_share_its_connections() {
        let routes = routes("/payment=payment@http://p:1 /catalog=payment@http://p:1");
        let (_, payment) = routes.find("/payment").unwrap();
        let (_, catalog) = routes.find("/catalog").unwrap();
        assert!(Arc::ptr_eq(payment, catalog));
        assert_eq!(routes.services(), [("payment", "/catalog"), ("payment", "/payment")]);
    }
}
