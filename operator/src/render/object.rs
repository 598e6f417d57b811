//! One rendered object, of whichever kind.

use k8s_openapi::{
    Resource,
    api::{
        apps::v1::{Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Secret, Service, ServiceAccount},
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::core::DynamicObject;
use serde::Serialize;

use super::RETAIN;

macro_rules! object {
    ($($kind:ident),+) => {
        /// One rendered object. It serializes as what it is.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Object {
            $($kind(Box<$kind>),)+
            /// Of an API that a cluster may not have.
            Dynamic(Box<DynamicObject>),
        }

        $(impl From<$kind> for Object {
            fn from(object: $kind) -> Self {
                Self::$kind(Box::new(object))
            }
        })+

        impl Object {
            pub fn metadata(&self) -> &ObjectMeta {
                match self {
                    $(Self::$kind(object) => &object.metadata,)+
                    Self::Dynamic(object) => &object.metadata,
                }
            }

            pub fn api_version(&self) -> &str {
                match self {
                    $(Self::$kind(_) => <$kind as Resource>::API_VERSION,)+
                    Self::Dynamic(object) => {
                        object.types.as_ref().map_or("", |types| types.api_version.as_str())
                    }
                }
            }

            pub fn kind(&self) -> &str {
                match self {
                    $(Self::$kind(_) => <$kind as Resource>::KIND,)+
                    Self::Dynamic(object) => {
                        object.types.as_ref().map_or("", |types| types.kind.as_str())
                    }
                }
            }
        }
    };
}

object!(
    ConfigMap,
    Deployment,
    HorizontalPodAutoscaler,
    Ingress,
    NetworkPolicy,
    PodDisruptionBudget,
    Secret,
    Service,
    ServiceAccount,
    StatefulSet
);

impl From<DynamicObject> for Object {
    fn from(object: DynamicObject) -> Self {
        Self::Dynamic(Box::new(object))
    }
}

impl Object {
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// Whether it stays when its Storefront goes.
    pub fn is_retained(&self) -> bool {
        let annotations = self.metadata().annotations.as_ref();
        annotations.is_some_and(|annotations| annotations.contains_key(RETAIN))
    }
}
