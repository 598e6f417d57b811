//! Releases of the managed brokers and of the managed database: what is on their disks was written by the one
//! that runs, and not every other one can read it. Pure.

use kube::ResourceExt;

use crate::{
    api::Storefront,
    controller::{cluster::owns, error::Error, observe::Live},
    names,
    render::{Images, Options},
};

/// Fails when the disks of what runs could not be read by what would run in its place.
pub fn check(storefront: &Storefront, options: &Options, live: &Live) -> Result<(), Error> {
    let images = Images { spec: &storefront.spec, options };
    let kafka = storefront.spec.kafka.as_ref().and_then(|kafka| kafka.managed.as_ref());
    // Whoever names an image goes back on purpose.
    let is_chosen = kafka.is_some_and(|kafka| kafka.image.is_some());
    if storefront.spec.managed_brokers().is_some()
        && !is_chosen
        && let Some(there) = image(storefront, live, names::KAFKA)
        && let (Some(runs), Some(wanted)) = (release(there), release(&images.kafka()))
        && wanted[..2.min(wanted.len())] < runs[..2.min(runs.len())]
    {
        return Err(Error::OlderKafka { there: text(&runs), wanted: text(&wanted) });
    }
    let wanted = images.postgres();
    if storefront.spec.manages_database()
        && let Some(there) = image(storefront, live, names::DATABASE)
        && let (Some(runs), Some(new)) = (release(there), release(&wanted))
        && runs[0] != new[0]
    {
        return Err(Error::OtherPostgres { there: there.to_owned(), wanted });
    }
    Ok(())
}

/// The image that runs, if an operator has said so: one that was put there by hand is put back.
fn image<'a>(storefront: &Storefront, live: &'a Live, part: &str) -> Option<&'a str> {
    let set = live.find("StatefulSet", &names::object(&storefront.name_any(), part))?;
    let container = set.data.pointer("/spec/template/spec/containers/0")?;
    let key = format!("k:{{\"name\":{}}}", container["name"]);
    let path = ["f:spec", "f:template", "f:spec", "f:containers", &key, "f:image"];
    container["image"].as_str().filter(|_| owns(set, &path))
}

/// The numbers of an image's tag, such as `17.6` or `17.6-trixie`; nothing of one that has no such tag.
fn release(image: &str) -> Option<Vec<u32>> {
    let (name, _digest) = image.split_once('@').unwrap_or((image, ""));
    let (_, tag) = name.rsplit('/').next()?.split_once(':')?;
    let numbers = tag.split('-').next()?.split('.').map(|number| number.parse().ok());
    numbers.collect()
}

fn text(release: &[u32]) -> String {
    release.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_tells_the_release_if_it_is_one() {
        assert_eq!(release("docker.io/apache/kafka:4.1.0"), Some(vec![4, 1, 0]));
        assert_eq!(release("registry:5000/postgres:17.6-trixie@sha256:0f"), Some(vec![17, 6]));
        for other in ["registry:5000/kafka", "kafka:latest", "kafka@sha256:0f", ""] {
            assert_eq!(release(other), None, "{other}");
        }
    }
}
